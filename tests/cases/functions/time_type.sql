-- TIME without spark.sql.timeType.enabled, and with it
SELECT t IS NULL FROM (SELECT CAST('10:00' AS TIME) AS t);
SELECT typeof(time_diff('HOUR', TIME'20:30:29', TIME'21:30:28'));
SELECT t::string FROM (SELECT TIME'10:00' AS t);
SELECT TIME'10:00' - TIME'09:00';
SELECT TIME'10:00' + INTERVAL '1' HOUR;
SELECT (TIME'10:00' + INTERVAL '1' HOUR)::string;
SELECT hour(TIME'10:00'), 1;
SELECT 1 WHERE hour(TIME'10:00') = 1;
SELECT extract(HOUR FROM TIME'10:00');
SELECT try_to_time('x') IS NULL;
SELECT struct(TIME'10:00');
SELECT '10:00'::TIME::STRING;
SELECT try_cast('10:00' AS TIME) IS NULL;
SELECT from_json('{"a":"10:00"}', 'a TIME') IS NULL;
SELECT max(TIME'10:00')::string;
SELECT unix_timestamp(TIME'10:00');
DESCRIBE FUNCTION make_time;
