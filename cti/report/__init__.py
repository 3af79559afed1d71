"""Reports for people: the quarterly report as one HTML file and one Excel file.

| file | knows |
|---|---|
| document.py | what is said, in which order, in Chinese with English beside |
| plots.py    | shapes and colours (SVG by hand: the product has no plotting library) |
| page.py     | HTML |
| workbook.py | Excel |

Must not know: the ledger.
"""
