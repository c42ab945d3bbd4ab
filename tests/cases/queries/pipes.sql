-- Pipe operators: what each takes and refuses.
VALUES (0, 'abc'), (1, 'def') AS t(x, y) |> SELECT sum(x) AS r;
VALUES (0, 'abc'), (1, 'def') AS t(x, y) |> DROP x;
VALUES (0, 'abc'), (1, 'def') AS t(x, y) |> DROP z;
VALUES (0, 'abc'), (1, 'def') AS t(x, y) |> EXTEND *;
VALUES (0, 'abc'), (1, 'def') AS t(x, y) |> SET t.x = 1;
VALUES (0, 'abc'), (1, 'def') AS t(x, y) |> AGGREGATE x GROUP BY y;
VALUES (0, 'abc'), (1, 'def') AS t(x, y) |> AGGREGATE sum(x) GROUP BY 2;
VALUES (0, 'abc'), (1, 'def') AS t(x, y) |> ORDER BY x LIMIT 1;
VALUES (0, 'abc'), (1, 'def') AS t(x, y) |> ORDER BY x |> LIMIT 1;
VALUES (0, 'abc'), (1, 'def') AS t(x, y) |> WINDOW w AS (ORDER BY x);
