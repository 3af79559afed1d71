#!/bin/sh
# Holds the dashboards to the types Grafana publishes, and makes the JSON schema `make test` uses of them.
#
#   sh tools/grafana/check.sh           compare: types, schema and boards as committed
#   sh tools/grafana/check.sh --write   write the schema anew, after VERSION changed
#
# Needs node 20 and npm (this alone; nothing else of the project does). Installs into a folder it removes.
set -eu
VERSION=13.2.3     # the schema's; boards must also compile against FLOOR, the oldest Grafana meant
FLOOR=12.4.11
here=$(cd "$(dirname "$0")/../.." && pwd)
schema=$here/tests/data/grafana/board.schema.json
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
cd "$work"
cp "$here/tools/grafana/boards.ts" .
printf '{"private":true}' > package.json
cat > tsconfig.json <<'END'
{"compilerOptions": {"strict": true, "noEmit": true, "module": "esnext", "moduleResolution": "bundler",
 "target": "es2022", "types": [], "lib": ["es2022", "dom"]}, "include": ["*.ts"]}
END
n=0
for board in "$here"/docker/grafana/dashboards/*/*.json; do
    n=$((n + 1))
    { printf "import type { Board, Plain } from './boards';\nexport const board%s: Plain<Board> = " "$n"; cat "$board"; } > "board$n.ts"
done
for version in "$FLOOR" "$VERSION"; do
    npm install --no-package-lock --no-audit --no-fund --silent "@grafana/schema@$version" typescript@5.9 \
        ts-json-schema-generator@2.4
    npx tsc -p tsconfig.json
    echo "✓ $n boards compile against @grafana/schema $version"
done
npx ts-json-schema-generator --path boards.ts --type Board --tsconfig tsconfig.json --no-type-check --expose none \
    --jsDoc none --minify -o made.json
echo >> made.json
if [ "${1:-}" = --write ]; then
    cp made.json "$schema"
    echo "✓ $schema written"
else
    cmp made.json "$schema"
    echo "✓ $schema is what $VERSION gives"
fi
