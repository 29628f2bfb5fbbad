"""Datasets: sources of data."""

from genmod.plugins._table import table

__all__ = ["COMPONENTS"]

COMPONENTS = table(
    "dataset",
    ("digits", "Digits", "1,797 digits of 8 x 8 pixels; needs no download"),
    ("mnist", "MNIST", "70,000 digits of 28 x 28 pixels"),
    ("fashion-mnist", "FashionMNIST", "70,000 clothes of 28 x 28 pixels"),
    ("cifar10", "CIFAR10", "60,000 colour photographs of 32 x 32 pixels"),
    ("image-folder", "ImageFolder", "the images of your own folder"),
    ("webdataset", "WebDataset", "the images in your own tar archives, read without unpacking"),
    ("shards", "Shards", "your own arrays, too large for memory"),
    ("table", "Table", "the rows of your own CSV, parquet, feather or JSON-lines file"),
    ("npz", "Npz", "the arrays of your own .npz file"),
    ("h5ad", "H5ad", "counts of genes in the cells of your own .h5ad file"),
    ("sprites", "Sprites", "drawn shapes with known factors of variation"),
    aliases={"shards": "npy", "webdataset": "tar"},
    revisions={"image-folder": 3, "npz": 2, "webdataset": 2},
    opens={
        "table": (
            ".csv",
            ".tsv",
            ".csv.gz",
            ".tsv.gz",
            ".parquet",
            ".feather",
            ".arrow",
            ".jsonl",
            ".ndjson",
        ),
        "npz": (".npz", ".npy"),
        "h5ad": (".h5ad",),
        "shards": ("/codes.json",),
        "webdataset": (".tar",),
        "image-folder": (
            "/",
            ".bmp",
            ".gif",
            ".jpeg",
            ".jpg",
            ".pgm",
            ".png",
            ".ppm",
            ".tif",
            ".tiff",
            ".webp",
        ),
    },
)
