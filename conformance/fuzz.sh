#!/bin/sh
# fuzz.sh TIME: runs every fuzz target of the module in turn, each for TIME
# (Go's duration, such as 30s or 10m). Ends at the first finding; Go has then
# written the input into the package's testdata/fuzz, to be kept as a test.
set -eu
time=${1:?usage: fuzz.sh TIME}
cd "$(dirname "$0")/.."

targets=$(grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' . | sort)
[ -n "$targets" ] || { echo "no fuzz targets" >&2; exit 1; }

echo "$targets" | while IFS=: read -r file func; do
	pkg=$(dirname "$file")
	name=${func#func }
	echo "== $name in $pkg for $time"
	${GO:-go} test -timeout 0 -run '^$' -fuzz "^$name\$" -fuzztime "$time" -fuzzminimizetime 10x "$pkg" </dev/null
done
