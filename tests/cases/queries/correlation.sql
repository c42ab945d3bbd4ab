-- Subqueries that read the row around them: their values, their names, and where Spark has no place for them.
SELECT a, (SELECT max(v) FROM VALUES (1, 20), (2, 30) AS u(k, v) WHERE k = a) FROM VALUES (1), (3) AS t(a);
SELECT a, (SELECT v FROM VALUES (1, 20), (2, 30) AS u(k, v) WHERE k <= a ORDER BY v DESC LIMIT 1) AS v FROM VALUES (1), (2) AS t(a);
SELECT a, a IN (SELECT k FROM VALUES (1), (NULL) AS u(k)) AS i, a NOT IN (SELECT k FROM VALUES (1), (NULL) AS u(k)) AS n FROM VALUES (1), (2), (NULL) AS t(a);
SELECT (a + 1, a) IN (SELECT 1, 2) FROM VALUES (1) AS t(a);
SELECT sum(b) AS s FROM VALUES (1, 2), (2, 3) AS t(a, b) GROUP BY a HAVING EXISTS (SELECT 1 FROM VALUES (1) AS u(k) WHERE k = a);
SELECT c, (SELECT max(k) FROM VALUES (1) AS u(k) WHERE k = c) FROM VALUES (1) AS t(c) GROUP BY c;
SELECT (SELECT sum(a + k) FROM VALUES (1) AS u(k)) FROM VALUES (1) AS t(a);
SELECT (SELECT sum(a) FROM VALUES (1) AS u(k)) FROM VALUES (1) AS t(a);
SELECT a FROM VALUES (1) AS t(a) ORDER BY (SELECT max(k) FROM VALUES (1) AS u(k) WHERE k = a);
SELECT transform(array(1, 2), x -> x + (SELECT 1));
SELECT * FROM VALUES ((SELECT 1)) AS t(a);
SELECT * FROM VALUES (1, 2) AS t(a, b), LATERAL (SELECT t.*);
SELECT * FROM VALUES (1, 2) AS t(a, b) NATURAL JOIN LATERAL (SELECT b AS b);
SELECT a, x FROM VALUES (0, 1), (1, 2) AS t(a, b), LATERAL (SELECT DISTINCT x FROM VALUES (0, 2), (0, 3) AS u(x, y) WHERE y > t.b);
SELECT * FROM VALUES (1) AS t(a) LEFT JOIN VALUES (1) AS u(k) ON (a IN (SELECT w FROM VALUES (2), (NULL) AS s(w))) IS NULL;
-- A name that fits several columns of the query around fits none.
SELECT * FROM VALUES (1) AS t(a), VALUES (1) AS u(a) WHERE EXISTS (SELECT 1 FROM VALUES (1) AS q(z) WHERE z > a);
SELECT (SELECT max(z) FROM VALUES (1) AS q(z) WHERE z > a) FROM VALUES (1) AS t(a), VALUES (1) AS u(a);
SELECT * FROM VALUES (1) AS t(a), VALUES (1) AS u(a), LATERAL (SELECT a);
SELECT * FROM VALUES (1) AS t(a) JOIN VALUES (1) AS u(a) ON EXISTS (SELECT 1 FROM VALUES (1) AS q(z) WHERE z > a);
SELECT * FROM VALUES (1) AS t(a), VALUES (1) AS u(a) WHERE EXISTS (SELECT a);
SELECT * FROM VALUES (1) AS t(a), VALUES (1) AS u(a) WHERE a IN (SELECT 1);
