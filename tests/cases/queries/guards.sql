-- Conditions keep others from rows that they would fail on, in joins too.
SELECT * FROM VALUES (1, array()), (2, array(3)), (3, array(3, 4)) t1(id, a) JOIN VALUES (1, array()), (2, array(3)), (3, array(3, 4)) t2(id, a) ON t1.a[0] = t2.a[0] AND size(t1.a) = 1 AND size(t2.a) > 1;
SELECT * FROM VALUES (1, array()), (2, array(3)) t1(id, a) WHERE size(a) > 0 AND a[0] = 3;
SELECT * FROM VALUES (1, 'x'), (2, '2020-01-01') t(id, s) WHERE id = 2 AND to_date(s) > DATE '2019-01-01';
SELECT * FROM VALUES (1, 13), (2, 12) t(id, m) WHERE m <= 12 AND make_date(2020, m, 1) > DATE '2019-01-01';
SELECT * FROM VALUES (1, 'x'), (2, '12') t(id, s) WHERE id = 2 AND to_number(s, '99') = 12;
SELECT * FROM VALUES (1, 0), (2, 1) t(id, d) WHERE d = 0 OR 1 / d > 0;
SELECT * FROM VALUES (1, array(1)) t1(id, a) JOIN VALUES (1, array()) t2(id, a) ON t1.a[0] = t2.a[0];
