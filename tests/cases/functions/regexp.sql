-- Matches one after the other, with groups; patterns and replacements that are columns.
SELECT regexp_replace('a1b22c', '([a-z])([0-9]+)', '$2$1'), regexp_replace('abc', '', '-'), regexp_replace('abc', 'x*', '-');
SELECT regexp_replace('one two', '(?<first>\\w+) (\\w+)', '$2 ${first}'), regexp_replace('a.b.c', '\\.', '\\$');
SELECT s, p, regexp_replace(s, p, r), regexp_extract(s, p, 0), regexp_extract_all(s, p, 0), regexp_count(s, p) FROM VALUES ('abcabc', 'b', 'X'), ('abcabc', '(b)(c)', '$2$1'), ('üöä', 'ö', 'o'), ('aaa', '(a)\\1', '<$1>'), (NULL, 'a', 'b'), ('x', NULL, 'b') t(s, p, r);
SELECT regexp_replace('héllo wörld', 'o', '0', 5), regexp_replace('abc', 'c', 'x', 3), regexp_replace('abc', 'c', 'x', 4), regexp_replace('', '^$', 'e', 1);
SELECT regexp_extract(s, '(\\d+)-(\\d+)', 2), regexp_extract(s, '(x)?(\\d+)', 1), regexp_extract(s, 'z', 0) FROM VALUES ('10-20'), ('none'), ('x7') t(s);
SELECT regexp_extract_all(s, '(\\w)(\\d)?', 2), regexp_extract_all(s, '(?=(b))', 1) FROM VALUES ('a1bb2'), ('') t(s);
SELECT regexp_replace('abc', 'b', '$1');
SELECT regexp_replace('abc', '(?<=a)b', '[$0]'), regexp_extract('foobar', '(?=(o+))', 1), 'foobar' RLIKE '(?<!x)bar';
SELECT count(*), sum(length(regexp_replace(s, '[0-9]+', '#'))), max(regexp_extract(s, '([0-9]+) of', 1)) FROM (SELECT concat('Row ', id, ' of ', id % 7) AS s FROM range(40000));
SELECT regexp_extract('abc', '(a)(b)', 3);
SELECT split('a1b2c3', '[0-9]'), split('abc', ''), regexp_substr('a12', '[0-9]+'), regexp_instr('xa12', '[0-9]+');
