import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.hadoop.hive.conf.HiveConf;
import org.apache.hadoop.hive.metastore.HiveMetaStore;
import org.apache.hadoop.hive.metastore.txn.TxnDbUtil;

/** Runs a metastore whose database has the tables of locks, which are otherwise made by a script: folder, port. */
public class HiveMetastore {
    public static void main(String[] arguments) throws Throwable {
        if (!Files.exists(Path.of(arguments[0], "derby"))) {
            TxnDbUtil.prepDb(new HiveConf());
        }
        HiveMetaStore.main(new String[] {"-p", arguments[1]});
    }
}
