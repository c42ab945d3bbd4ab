-- PIVOT: values of several columns, names of the columns made, and what is refused.
SELECT * FROM VALUES ('a', 1, 10), ('b', 2, 20) AS t(c, y, e) PIVOT (sum(e) FOR (c, y) IN (('a', 1), ('b', 2) AS two));
SELECT * FROM VALUES ('a', struct(1, 'x'), 10) AS t(c, s, e) PIVOT (sum(e) FOR (c, s) IN (('a', (1, 'x'))));
SELECT * FROM VALUES ('a', 1, 10), ('a', 2, 20) AS t(c, y, e) PIVOT (sum(e) AS s, max(e) FOR y IN (1 AS one, 2));
SELECT * FROM VALUES ('a', 1, 10) AS t(c, y, e) PIVOT (abs(e) FOR y IN (1));
SELECT * FROM VALUES ('a', 1, 10) AS t(c, y, e) PIVOT (sum(e) FOR y IN (nosuch, 1));
SELECT * FROM VALUES ('a', 1, 10) AS t(c, y, e) PIVOT (sum(e) FOR y IN (c, 1));
SELECT * FROM VALUES ('a', 1, 10) AS t(c, y, e) PIVOT (sum(e) FOR c IN (1, 2.5));
