-- Secrets are not shown, wherever a key or a value speaks of one.
CREATE TABLE redacted_a (a INT) USING json OPTIONS (url = 'jdbc:x', header = 'true', note = 'my password') TBLPROPERTIES ('myurl' = 'u', 'b' = 'a secret', accesskey = 'z', p = 'q');
SHOW TBLPROPERTIES redacted_a;
SHOW TBLPROPERTIES redacted_a ('myurl');
SHOW TBLPROPERTIES redacted_a ('option.url');
SHOW TBLPROPERTIES redacted_a ('option.header');
SHOW CREATE TABLE redacted_a;
DROP TABLE redacted_a;
CREATE VIEW redacted_v TBLPROPERTIES ('token' = 'x', p = 'q') AS SELECT 1 AS a;
SHOW TBLPROPERTIES redacted_v;
SHOW CREATE TABLE redacted_v;
DROP VIEW redacted_v;
SET redacted.url = abc;
SET redacted.url;
SET redacted.note = a secret;
SET redacted.note;
SELECT '${redacted.url}';
RESET redacted.url;
RESET redacted.note;
