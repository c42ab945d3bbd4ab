-- What names mean in HAVING and ORDER BY above an aggregate, and which expressions match a group.
SELECT a, max(b) AS b FROM VALUES (1, 2), (1, 3), (2, 0) AS t(a, b) GROUP BY a ORDER BY b;
SELECT -a AS a, count(*) AS c FROM VALUES (1, 2), (1, 3), (2, 0) AS t(a, b) GROUP BY -a HAVING a > -2;
SELECT -a AS a, count(*) AS c FROM VALUES (1, 2), (1, 3), (2, 0) AS t(a, b) GROUP BY -a ORDER BY -a;
SELECT max(b) FROM VALUES (1, 2), (1, 3), (2, 0) AS t(a, b) GROUP BY a HAVING min(b) >= 0 ORDER BY a + 1;
SELECT a, max(b) AS c FROM VALUES (1, 2), (1, 3), (2, 0) AS t(a, b) GROUP BY a HAVING max(b) >= 0 ORDER BY min(b);
SELECT a FROM VALUES (1, 2), (1, 3), (2, 0) AS t(a, b) GROUP BY a HAVING min(b) >= 0 ORDER BY max(b);
SELECT a, max(b) FROM VALUES (1, 2), (1, 3), (2, 0) AS t(a, b) GROUP BY a HAVING min(b) >= 0 ORDER BY count(*);
SELECT 1 + a, a > 1 FROM VALUES (1, 2), (1, 3), (2, 0) AS t(a, b) GROUP BY a + 1, 1 < a;
SELECT a FROM VALUES (1, 2) AS t(a, b) GROUP BY a HAVING b > 1;
SELECT count(*) FROM VALUES (1, 2) AS t(a, b) HAVING a > 0;
SELECT a, b AS a FROM VALUES (1, 2), (1, 3), (0, 4) AS t(a, b) ORDER BY a, b;
SELECT sum(sum(a)) FROM VALUES (1) AS t(a);
SELECT a + count(*) FROM VALUES (1) AS t(a) GROUP BY ALL;
SELECT a, grouping(a), grouping_id(), count(*) FROM VALUES (1), (2) AS t(a) GROUP BY CUBE (a) ORDER BY 2, 1;
SELECT a, count(*) FROM VALUES (1) AS t(a) WHERE a > 1 GROUP BY GROUPING SETS ((a), ());
SELECT CAST(A AS BIGINT), A::string, (t.a, 2), s['x'], S.X FROM VALUES (1, named_struct('x', 3)) AS t(a, s);
SELECT a IN (SELECT 1) FROM VALUES (1), (2) AS t(a) GROUP BY a IN (SELECT 1), a ORDER BY a IN (SELECT 1);
SELECT a FROM VALUES (1), (2) AS t(a) GROUP BY a ORDER BY EXISTS (SELECT 1), a;
SELECT a IN (SELECT 1) AS b FROM VALUES (1), (2) AS t(a) ORDER BY a IN (SELECT 1);
-- Subqueries that GROUP BY has may stand in ORDER BY and HAVING too.
SELECT a FROM VALUES (1, 2), (2, 3) AS t(a, b) GROUP BY a IN (SELECT c FROM VALUES (1) AS y(c)), a ORDER BY a IN (SELECT c FROM VALUES (1) AS y(c));
SELECT a FROM VALUES (1, 2), (2, 3) AS t(a, b) GROUP BY a, EXISTS (SELECT 1 FROM VALUES (1) AS y(c) WHERE c = a) ORDER BY EXISTS (SELECT 1 FROM VALUES (1) AS y(c) WHERE c = a);
SELECT a, (SELECT max(c) FROM VALUES (1) AS y(c) WHERE c = a) AS m FROM VALUES (1, 2), (2, 3) AS t(a, b) GROUP BY a, (SELECT max(c) FROM VALUES (1) AS y(c) WHERE c = a) ORDER BY (SELECT max(c) FROM VALUES (1) AS y(c) WHERE c = a);
SELECT a IN (SELECT c FROM VALUES (1) AS y(c)) AS i, count(*) FROM VALUES (1, 2), (2, 3), (4, 5) AS t(a, b) GROUP BY a IN (SELECT c FROM VALUES (1) AS y(c)) ORDER BY a IN (SELECT c FROM VALUES (1) AS y(c));
SELECT count(*) FROM VALUES (1, 2), (2, 3), (4, 5) AS t(a, b) GROUP BY a IN (SELECT c FROM VALUES (1) AS y(c)) HAVING a IN (SELECT c FROM VALUES (1) AS y(c));
SELECT a FROM VALUES (1, 2), (2, 3) AS t(a, b) GROUP BY a ORDER BY a IN (SELECT c FROM VALUES (1) AS y(c));
SELECT (SELECT count(*) FROM VALUES (1, 2) AS d(a, b) WHERE d.a = t.a) + count(a) FROM VALUES (1, 2) AS t(a, b) GROUP BY ALL;
