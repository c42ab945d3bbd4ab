-- Values that are equal without being the same bits: zeros, NaNs, structs of other names, strings of a collation.
SELECT count(*) FROM VALUES (0.0D), (-0.0D), (double('NaN')), (-double('NaN')) AS t(a) GROUP BY a;
SELECT DISTINCT a FROM VALUES (0.0D), (-0.0D) AS t(a);
SELECT a, count(*) FROM VALUES (float(0), 1), (float(-0.0), 2) AS t(a, b) GROUP BY GROUPING SETS ((a), ());
SELECT count(*) OVER (PARTITION BY a) FROM VALUES (0.0D), (-0.0D), (1.0D) AS t(a);
SELECT a, b, (a, b) NOT IN ((2, 3.0)), (a, b) IN ((2, 3.0), (4, 5.0)) FROM VALUES (NULL, NULL), (NULL, 1.0), (2, 3.0), (4, 5.0) AS m(a, b);
SELECT named_struct('x', 1) IN (named_struct('y', 1)), named_struct('x', 1) IN (named_struct('y', 'a'));
SELECT a, count(*) FROM (SELECT s COLLATE UTF8_LCASE AS a FROM VALUES ('B'), ('b'), ('A') AS t(s)) GROUP BY a ORDER BY a;
SELECT a, count(*), grouping(a) FROM (SELECT s COLLATE UTF8_LCASE AS a FROM VALUES ('B'), ('b'), ('A') AS t(s)) GROUP BY ROLLUP (a) ORDER BY a NULLS FIRST;
SELECT a, b, count(*) FROM (SELECT s COLLATE UTF8_LCASE AS a, b FROM VALUES ('B', 1), ('b', 1), ('A', 1) AS t(s, b)) GROUP BY GROUPING SETS ((a, b), (b), (a)) ORDER BY 1, 2, 3;
SELECT upper(a), count(*) FROM (SELECT s COLLATE UTF8_LCASE AS a FROM VALUES ('B'), ('b'), ('A') AS t(s)) GROUP BY a HAVING a = 'b';
SELECT DISTINCT a FROM (SELECT s COLLATE UTF8_LCASE AS a FROM VALUES ('B'), ('b'), ('A') AS t(s)) ORDER BY a;
SELECT upper(a) FROM (SELECT 'A' COLLATE UTF8_LCASE AS a UNION SELECT 'a' COLLATE UTF8_LCASE);
SELECT count(*) FROM (SELECT s COLLATE UTF8_LCASE AS a FROM VALUES ('A'), ('a'), ('b') AS t(s) EXCEPT ALL SELECT 'a' COLLATE UTF8_LCASE);
SELECT a, rank() OVER (ORDER BY a) FROM (SELECT s COLLATE UTF8_LCASE AS a FROM VALUES ('B'), ('b'), ('A') AS t(s));
SELECT map_concat(map(1, 2), map('a', 'b'));
SELECT map_concat(map(1, 2), 3);
SELECT date_add('2011-11-11', '1.2');
SELECT date_add(d, n) FROM VALUES ('2011-11-11', '1') AS t(d, n);
