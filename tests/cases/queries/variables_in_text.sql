-- `${key}` in the text of a statement
SET my.number = 7;
SELECT ${my.number} + 1;
SELECT '${spark:my.number}', '${hiveconf:my.number}', '${sparkconf:my.number}';
SELECT 'x${not.set}y';
SELECT '${unknown:my.number}';
SET my.other = ${my.number}1;
SELECT ${my.other};
SELECT * FROM parquet.``;
SET spark.sql.variable.substitute = false;
SELECT '${my.number}';
SET spark.sql.variable.substitute = true;
RESET my.number;
RESET my.other;
