-- A CTE of random numbers has the same ones wherever it is used.
WITH c AS (SELECT rand() AS r) SELECT a.r = b.r FROM c a, c b;
WITH c AS (SELECT uuid() AS r FROM range(3)) SELECT count(*) FROM c a JOIN c b ON a.r = b.r;
WITH c AS (SELECT rand() AS r FROM range(1, 5)) SELECT count(*) FROM (SELECT * FROM c UNION SELECT * FROM c);
WITH c AS (SELECT id, rand() AS r FROM range(10)) SELECT count(*) FROM c WHERE r = (SELECT max(r) FROM c);
WITH c AS (SELECT shuffle(sequence(1, 50)) AS s) SELECT (SELECT s FROM c) = (SELECT s FROM c);
WITH c AS (SELECT rand(1) AS r), d AS (SELECT r, rand(2) AS q FROM c) SELECT x.r = y.r, x.q = y.q FROM d x, d y;
