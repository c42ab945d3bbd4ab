-- Defaults of columns are checked where they are declared.
CREATE TABLE defaults_1 (a INT DEFAULT 'x') USING parquet;
CREATE TABLE defaults_2 (a TINYINT DEFAULT 500) USING parquet;
CREATE TABLE defaults_3 (a INT DEFAULT nope) USING parquet;
CREATE TABLE defaults_4 (a INT DEFAULT (SELECT 1)) USING parquet;
CREATE TABLE defaults_5 (a INT DEFAULT rand()) USING parquet;
CREATE TABLE defaults_6 (a BOOLEAN DEFAULT 1) USING parquet;
CREATE TABLE defaults_7 (a INT, b INT DEFAULT a) USING parquet;
CREATE TABLE defaults_8 (a INT DEFAULT CAST('x' AS INT)) USING parquet;
CREATE TABLE defaults_9 (a TINYINT DEFAULT 1 + 2, b DATE DEFAULT '2020-01-01', c INT DEFAULT 1.5, d FLOAT DEFAULT 1.5D, e STRING DEFAULT 5, f INT DEFAULT NULL) USING parquet;
ALTER TABLE defaults_9 ALTER COLUMN a SET DEFAULT 'x';
ALTER TABLE defaults_9 ADD COLUMNS (g INT DEFAULT 'x');
ALTER TABLE defaults_9 ADD COLUMNS (g INT DEFAULT nope);
ALTER TABLE defaults_9 ALTER COLUMN a SET DEFAULT 7;
INSERT INTO defaults_9 (f) VALUES (1);
SELECT * FROM defaults_9;
DROP TABLE defaults_9;
