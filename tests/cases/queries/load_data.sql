-- LOAD DATA is for tables in one of Hive's formats; `test_load_data.py` has those.
CREATE TABLE loaded (a STRING) USING text;
CREATE TABLE loaded_parts (a STRING, p INT) USING parquet PARTITIONED BY (p);
CREATE OR REPLACE TEMPORARY VIEW loaded_view AS SELECT 1 AS a;
LOAD DATA LOCAL INPATH '/nowhere/a.txt' INTO TABLE loaded;
LOAD DATA INPATH '/nowhere/a.txt' OVERWRITE INTO TABLE loaded;
LOAD DATA INPATH '/nowhere/a.txt' INTO TABLE loaded PARTITION (p = 1);
LOAD DATA INPATH '/nowhere/a.txt' INTO TABLE loaded_parts PARTITION (p = 1);
LOAD DATA INPATH '/nowhere/a.txt' INTO TABLE loaded_parts PARTITION (q = 1);
LOAD DATA INPATH '/nowhere/a.txt' INTO TABLE loaded_parts PARTITION (p);
LOAD DATA INPATH '/nowhere/a.txt' INTO TABLE no_such_table;
LOAD DATA INPATH '/nowhere/a.txt' INTO TABLE loaded_view;
LOAD DATA INPATH 'a.txt' TABLE loaded;
LOAD DATA LOCAL '/nowhere/a.txt' INTO TABLE loaded;
DROP VIEW loaded_view;
DROP TABLE loaded_parts;
DROP TABLE loaded;
