//go:build linux

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// reference is the row that the others are compared with, round by round.
const reference = "blk"

// result is what was measured of one row: for each round, a value for each of figures.
type result struct {
	name   string
	rounds [][]float64
}

// print writes the table in Markdown: the median of the rounds, and for what has one the median of the ratios to the
// reference in the same round.
func printTable(w io.Writer, results []*result) {
	fmt.Fprint(w, "| |")
	for _, f := range figures {
		fmt.Fprintf(w, " %s (%s) |", f.name, f.unit)
	}
	fmt.Fprintf(w, "\n|---|%s\n", strings.Repeat("---:|", len(figures)))
	at := slices.IndexFunc(results, func(r *result) bool { return r.name == reference })
	for _, r := range results {
		fmt.Fprintf(w, "| %s |", r.name)
		for i, f := range figures {
			fmt.Fprintf(w, " %s |", cell(r, i, f, results, at))
		}
		fmt.Fprintln(w)
	}
}

func cell(r *result, i int, f figure, results []*result, at int) string {
	value := middle(column(r, i))
	if value == 0 {
		return "-"
	}
	text := fmt.Sprintf("%.*f", f.digits, value)
	if at < 0 || results[at] == r || f.unit == "MiB" {
		return text
	}
	var ratios []float64
	for k, base := range column(results[at], i) {
		if k < len(r.rounds) && base > 0 {
			ratios = append(ratios, r.rounds[k][i]/base)
		}
	}
	return fmt.Sprintf("%s (%.2f x)", text, middle(ratios))
}

func column(r *result, i int) []float64 {
	var all []float64
	for _, round := range r.rounds {
		all = append(all, round[i])
	}
	return all
}

func middle(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	all = slices.Clone(all)
	slices.Sort(all)
	return all[len(all)/2]
}
