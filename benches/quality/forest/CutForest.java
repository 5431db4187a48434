import com.amazon.randomcutforest.config.ForestMode;
import com.amazon.randomcutforest.config.TransformMethod;
import com.amazon.randomcutforest.parkservices.AnomalyDescriptor;
import com.amazon.randomcutforest.parkservices.ThresholdedRandomCutForest;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Gives every count of every series its score by Amazon's Random Cut Forest, a forest for each
 * series, set up as OpenSearch's anomaly detection sets it up (its defaults for one feature).
 *
 * <p>Arguments: file to read, file to write. Both hold, for each series, an int (how many), then
 * that many doubles, big-endian: counts to read; to write first the forest's score of each count,
 * then the grade that its own threshold makes of the score (0 to 1, 0 for nothing unusual).
 */
public final class CutForest {
    private static final int SHINGLE = 8;
    private static final int TREES = 50;
    private static final int SAMPLES = 256;
    private static final int OUTPUT_AFTER = 32;
    private static final double TIME_DECAY = 0.0001;
    private static final double ANOMALY_RATE = 0.005;
    private static final long SEED = 42;

    private CutForest() {}

    public static void main(String[] arguments) throws IOException {
        List<double[]> series = read(Path.of(arguments[0]));
        List<double[][]> scored = series.parallelStream().map(CutForest::score).toList();
        try (DataOutputStream out = new DataOutputStream(new BufferedOutputStream(
                Files.newOutputStream(Path.of(arguments[1])), 1 << 16))) {
            for (double[][] rows : scored) {
                out.writeInt(rows[0].length);
                for (double[] row : rows) {
                    for (double value : row) {
                        out.writeDouble(value);
                    }
                }
            }
        }
    }

    private static List<double[]> read(Path path) throws IOException {
        List<double[]> series = new ArrayList<>();
        try (DataInputStream in = new DataInputStream(new BufferedInputStream(
                Files.newInputStream(path), 1 << 16))) {
            while (in.available() > 0) {
                double[] counts = new double[in.readInt()];
                for (int i = 0; i < counts.length; i++) {
                    counts[i] = in.readDouble();
                }
                series.add(counts);
            }
        }
        return series;
    }

    private static double[][] score(double[] counts) {
        ThresholdedRandomCutForest forest = ThresholdedRandomCutForest.builder()
                .dimensions(SHINGLE)
                .shingleSize(SHINGLE)
                .numberOfTrees(TREES)
                .sampleSize(SAMPLES)
                .outputAfter(OUTPUT_AFTER)
                .initialAcceptFraction((double) OUTPUT_AFTER / SAMPLES)
                .timeDecay(TIME_DECAY)
                .anomalyRate(ANOMALY_RATE)
                .transformMethod(TransformMethod.NORMALIZE)
                .forestMode(ForestMode.STANDARD)
                .internalShinglingEnabled(true)
                .autoAdjust(true)
                .randomSeed(SEED)
                .build();
        double[][] found = new double[2][counts.length];
        for (int i = 0; i < counts.length; i++) {
            AnomalyDescriptor said = forest.process(new double[] {counts[i]}, i);
            found[0][i] = said.getRCFScore();
            found[1][i] = said.getAnomalyGrade();
        }
        return found;
    }
}
