//go:build linux

package main

import (
	"fmt"
	"io"
)

// printSizes writes how long a byte takes in messages of different sizes, in ns, and how much of it is the row's own:
// what it takes more than the reference.
func printSizes(w io.Writer, all []*row, rounds int) error {
	fmt.Fprintf(w, "| message |")
	for _, r := range all {
		fmt.Fprintf(w, " %s (ns a byte) |", r.name)
	}
	fmt.Fprint(w, "\n|---|")
	for range all {
		fmt.Fprint(w, "---:|")
	}
	fmt.Fprintln(w)
	for kib := 1; kib <= 31<<10; kib = next(kib) {
		fmt.Fprintf(w, "| %d KiB |", kib)
		for _, r := range all {
			var each []float64
			for range rounds {
				took, err := timeOf(r, kib<<10)
				if err != nil {
					return fmt.Errorf("%s: %w", r.name, err)
				}
				each = append(each, took)
			}
			fmt.Fprintf(w, " %.2f |", middle(each))
		}
		fmt.Fprintln(w)
	}
	return nil
}

func next(kib int) int {
	if kib < 16<<10 {
		return kib * 4
	}
	return kib + 15<<10 // just under the limit of 32 MiB
}

func timeOf(r *row, size int) (float64, error) {
	c, err := start(r)
	if err != nil {
		return 0, err
	}
	defer c.stop()
	took, err := c.median(max(5, min(1000, 64<<20/size)), text(size))
	return float64(took) / float64(size), err
}
