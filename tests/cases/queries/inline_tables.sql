-- VALUES: the common types of its columns, and what cannot be one of its values.
VALUES 1, 2.5;
VALUES 1L, 2.5F;
VALUES 1, '3';
VALUES true, 'x';
VALUES date'2020-01-01', timestamp'2020-01-01 00:00:00';
VALUES array(1), array(2.5D);
SELECT * FROM VALUES (CAST(1 AS BYTE)), (2L), (3.5F) AS t(a);
SELECT a FROM VALUES ('one', rand(5)) AS t(a, b);
SELECT * FROM VALUES ('one', 1), ('two') AS t(a, b);
