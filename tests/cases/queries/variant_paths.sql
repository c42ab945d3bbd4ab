SELECT parse_json('{"a":{"b":[10,20]}}'):a.b[1]::INT, parse_json('{"A":1}'):a, parse_json('{"x y":1}'):`x y`, parse_json('{"x":1}'):['x'];
SELECT v:a.b[0]::INT AS n, v:c::STRING, v:nope FROM VALUES (parse_json('{"a":{"b":[7]},"c":"z"}')) t(v);
SELECT count(*) FROM range(3) WHERE parse_json('{"a":1}'):a::INT = 1;
SELECT parse_json('{"a":1}'):a + 1;
SELECT parse_json('{"a":1,"a":2}');
SELECT DISTINCT parse_json('1');
