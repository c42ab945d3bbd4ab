-- CHAR columns are padded and compared without regard to blanks; lengths are checked when rows are stored.
CREATE TABLE texts (c CHAR(4), d CHAR(6), v VARCHAR(3)) USING parquet;
INSERT INTO texts VALUES ('ab', 'ab', 'x'), (NULL, 'q', NULL);
INSERT INTO texts VALUES ('abcde', 'ab', 'x');
INSERT INTO texts VALUES ('ab', 'ab', 'wxyz');
SELECT c, d, v, length(c), typeof(c), upper(v) FROM texts ORDER BY d;
SELECT c = d, c = 'ab', c IN ('ab', 'cd'), c = v FROM texts ORDER BY d;
CREATE TABLE texts_too USING parquet AS SELECT c, v FROM texts;
DESCRIBE texts_too;
DROP TABLE texts_too;
DROP TABLE texts;
