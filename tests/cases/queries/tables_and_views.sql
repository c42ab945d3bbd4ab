-- What statements of the catalog refuse, and what they take.
CREATE TABLE refused_p (a INT, b INT) USING json PARTITIONED BY (a, b);
CREATE TABLE refused_p PARTITIONED BY (a) AS SELECT 1 AS a;
CREATE TABLE refused_p (a INT) USING parquet PARTITIONED BY (z);
CREATE VIEW dropped_v AS SELECT 1 AS a;
DROP TABLE dropped_v;
SELECT * FROM dropped_v;
CREATE TEMPORARY VIEW dropped_t AS SELECT 1 AS a;
DROP TABLE dropped_t;
SELECT * FROM dropped_t;
CREATE TABLE kept_t (a INT) USING parquet;
DROP VIEW kept_t;
DROP TABLE kept_t;
DESCRIBE FUNCTION nobody_knows;
DESCRIBE FUNCTION other.nobody_knows;
REFRESH FUNCTION abs;
REFRESH FUNCTION nobody_knows;
DROP FUNCTION nobody_knows;
