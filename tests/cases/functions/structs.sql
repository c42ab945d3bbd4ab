-- Struct functions and names of fields.
SELECT struct(1, 'a', NULL), named_struct('a', 1, 'b', CAST(NULL AS STRING)), struct(1 AS x, 2), named_struct('a', named_struct('b', 1)).a.b;
SELECT struct(a, b, a + 1, a AS z), struct(*), struct(s.f, s) FROM VALUES (1, 'x', named_struct('f', 1.5)) AS t(a, b, s);
SELECT named_struct('a');
SELECT named_struct(1, 2);
SELECT named_struct(a, 2) FROM VALUES ('x') AS t(a);
SELECT named_struct(CAST(NULL AS STRING), 2);
SELECT struct();
SELECT named_struct('a', 1, 'a', 2);
SELECT s.*, s.f FROM VALUES (named_struct('f', 1, 'g', 'x')), (NULL) AS t(s);
SELECT struct(1, 2) = struct(1, 2), struct(1, NULL) = struct(1, NULL), struct(1, 2) < struct(1, 3), array(1, 2) < array(1, 3), array(1, NULL) = array(1, NULL), struct(1, 'a') IN (struct(1, 'a'));
