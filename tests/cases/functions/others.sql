-- Functions that stand alone
SELECT reflect('java.lang.Math','max',1,2);
SELECT reflect('java.lang.String','valueOf',1.5D);
SELECT reflect('java.lang.Math','abs',-1L), reflect('java.lang.Math','sqrt',2D), try_reflect('java.lang.Integer','parseInt','12'), reflect('java.lang.Math','round',2.5D);
SELECT reflect(1,'max',1,2);
SELECT reflect('java.lang.Math',NULL,1,2);
SELECT reflect('java.lang.Math','max',NULL,2);
SELECT reflect(a,'max',1) FROM VALUES ('x') t(a);
SELECT reflect('java.lang.Integer','toHexString',-255), reflect('java.net.URLEncoder','encode','a b&c','UTF-8'), java_method('java.lang.Math','floorMod',-7,3), reflect('java.lang.Math','floorDiv',-7,3);
SELECT measure(a) FROM VALUES (1) t(a);
SELECT measure(a, 1) FROM VALUES (1) t(a);
SELECT reverse(a), typeof(reverse(a)) FROM VALUES (X'CAFE'), (NULL) t(a);
SELECT to_json(named_struct('B', 1, 'a', array(named_struct('y',1,'x',2)), 'm', map('k',2,'b',1)), map('sortKeys', 'true'));
SELECT id, log2(id), log10(id), ln(id), cbrt(id), pow(id, 0.3), asinh(id), acosh(id + 1), atanh(id / 300D), log1p(id) FROM range(1, 200);
SELECT mode(id % 7), mode(CAST(id % 5 AS STRING)), mode(id % 3 + 0.5D) FROM range(0, 105, 1, 1);
