"""Yunnan's 16 prefectures, for the simulated day. Knows: names, sizes and places. Must not know: what is simulated.

Codes and names: GB/T 2260, as in the linkage plan of 2022-08-25. The plan gives no size of any line, so a line is as
large as its prefecture: residents of the seventh national census (2020; the 16 add up to its 47,209,277). Places: seats
of government, degrees north and east.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Prefecture:
    code: str
    name: str
    latin: str
    residents: int
    place: tuple[float, float]


YUNNAN = (
    Prefecture("530100", "昆明市", "Kunming", 8_460_088, (25.04, 102.71)),
    Prefecture("530300", "曲靖市", "Qujing", 5_765_775, (25.49, 103.80)),
    Prefecture("530400", "玉溪市", "Yuxi", 2_249_502, (24.35, 102.54)),
    Prefecture("530500", "保山市", "Baoshan", 2_431_211, (25.11, 99.17)),
    Prefecture("530600", "昭通市", "Zhaotong", 5_092_611, (27.34, 103.72)),
    Prefecture("530700", "丽江市", "Lijiang", 1_253_878, (26.86, 100.23)),
    Prefecture("530800", "普洱市", "Pu'er", 2_404_954, (22.78, 100.97)),
    Prefecture("530900", "临沧市", "Lincang", 2_257_991, (23.88, 100.09)),
    Prefecture("532300", "楚雄州", "Chuxiong", 2_416_747, (25.04, 101.54)),
    Prefecture("532500", "红河州", "Honghe", 4_478_422, (23.36, 103.38)),
    Prefecture("532600", "文山州", "Wenshan", 3_503_218, (23.37, 104.24)),
    Prefecture("532800", "西双版纳州", "Xishuangbanna", 1_301_407, (22.01, 100.80)),
    Prefecture("532900", "大理州", "Dali", 3_337_559, (25.61, 100.27)),
    Prefecture("533100", "德宏州", "Dehong", 1_315_709, (24.43, 98.59)),
    Prefecture("533300", "怒江州", "Nujiang", 552_694, (25.85, 98.86)),
    Prefecture("533400", "迪庆州", "Diqing", 387_511, (27.83, 99.71)),
)
