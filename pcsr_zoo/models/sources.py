"""Names of the published tables that several families have rows in."""

LIE_1 = "PointLIE (IJCAI 2021), table 1"
LIE_2 = "PointLIE (IJCAI 2021), table 2"
LIE_2_SHIFT = f"{LIE_2}; its x4 column looks shifted by a row, so the name may be wrong"
SSPU_2 = "SSPU-Net (ACM MM 2021), table 2"
