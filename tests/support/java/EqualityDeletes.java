import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.iceberg.DeleteFile;
import org.apache.iceberg.PartitionSpec;
import org.apache.iceberg.Schema;
import org.apache.iceberg.Table;
import org.apache.iceberg.data.GenericFileWriterFactory;
import org.apache.iceberg.data.GenericRecord;
import org.apache.iceberg.data.Record;
import org.apache.iceberg.deletes.EqualityDeleteWriter;
import org.apache.iceberg.encryption.EncryptedFiles;
import org.apache.iceberg.encryption.EncryptionKeyMetadata;
import org.apache.iceberg.hadoop.HadoopTables;

/** Deletes the rows of a table whose column has certain values, as engines that write streams do: table, column, values. */
public class EqualityDeletes {
    public static void main(String[] arguments) throws Exception {
        Table table = new HadoopTables(new Configuration()).load(arguments[0]);
        String column = arguments[1];
        Schema schema = table.schema().select(column);
        int id = table.schema().findField(column).fieldId();
        GenericFileWriterFactory files =
            new GenericFileWriterFactory.Builder(table).equalityFieldIds(new int[] {id}).equalityDeleteRowSchema(schema).build();
        String place = table.location() + "/data/deletes-" + System.nanoTime() + ".parquet";
        EqualityDeleteWriter<Record> writer = files.newEqualityDeleteWriter(
            EncryptedFiles.encryptedOutput(table.io().newOutputFile(place), EncryptionKeyMetadata.EMPTY),
            PartitionSpec.unpartitioned(), null);
        for (String text : List.of(arguments).subList(2, arguments.length)) {
            Object value = text.equals("null") ? null : Integer.valueOf(text);
            GenericRecord row = GenericRecord.create(schema);
            row.setField(column, value);
            writer.write(row);
        }
        writer.close();
        DeleteFile deletes = writer.toDeleteFile();
        table.newRowDelta().addDeletes(deletes).commit();
        System.out.println("DELETED");
    }
}
