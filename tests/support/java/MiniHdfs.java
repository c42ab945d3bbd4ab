import java.io.BufferedReader;
import java.io.InputStreamReader;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hdfs.HdfsConfiguration;
import org.apache.hadoop.hdfs.MiniDFSCluster;
import org.apache.hadoop.hdfs.MiniDFSNNTopology;

/** Hadoop's own small cluster: a name service with two name nodes. Does what it reads, a line for each command. */
public class MiniHdfs {
    private static MiniDFSCluster cluster;
    private static int active = 0;

    public static void main(String[] arguments) throws Exception {
        Configuration conf = new HdfsConfiguration();
        conf.set(MiniDFSCluster.HDFS_MINIDFS_BASEDIR, arguments[0]);
        conf.set("dfs.ha.tail-edits.period", "1");
        conf.set("dfs.namenode.fs-limits.min-block-size", "1024");
        MiniDFSNNTopology topology = MiniDFSNNTopology.simpleHATopology(2);
        cluster = new MiniDFSCluster.Builder(conf).nnTopology(topology).numDataNodes(1).build();
        cluster.waitActive();
        cluster.transitionToActive(active);
        System.out.println("PORTS " + cluster.getNameNodePort(0) + " " + cluster.getNameNodePort(1));
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in));
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            obey(line.trim());
            System.out.println("DONE " + line);
        }
        cluster.shutdown();
    }

    private static void obey(String command) throws Exception {
        switch (command) {
            case "standby" -> cluster.transitionToStandby(active);
            case "active" -> {
                active = 1 - active;
                cluster.transitionToActive(active);
            }
            case "kill" -> {
                cluster.shutdownNameNode(active);
                active = 1 - active;
                cluster.transitionToActive(active);
            }
            case "restart" -> cluster.restartNameNode(1 - active);
            default -> throw new IllegalArgumentException(command);
        }
    }
}
