//go:build linux

// Command bench measures what stands between an MCP client and a server: mcp-valet, the least that a process in the
// middle can cost, and what people use today. Each row is measured once a round, rows taking turns; what is told are
// medians of the rounds, and ratios within a round. It prints a table in Markdown:
//
//	go run -C internal/bench . [-rounds N] [-rows NAME,NAME]
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

func main() {
	rounds := flag.Int("rounds", 7, "how often each row is measured")
	only := flag.String("rows", "", "names of the rows to measure, with commas between them; all when empty")
	other := flag.String("also", "", "another build of mcp-valet, to compare with this one")
	sizes := flag.Bool("sizes", false, "the time per byte of messages from 1 KiB to 32 MiB, instead of the table")
	flag.Parse()
	if err := run(*rounds, *only, *other, *sizes); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(rounds int, only, other string, sizes bool) error {
	here, err := filepath.Abs(".")
	if err != nil {
		return err
	}
	s, err := newStage(here)
	if err != nil {
		return err
	}
	defer s.close()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	all, left := allRows(s)
	for _, err := range left {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	if other != "" {
		all = append(all, also(other, all))
	}
	if only != "" {
		names := strings.Split(only, ",")
		all = slices.DeleteFunc(all, func(r *row) bool { return !slices.Contains(names, strings.ReplaceAll(r.name, ", ", "+")) })
	}
	if sizes {
		return printSizes(os.Stdout, all, rounds)
	}
	results := make([]*result, len(all))
	for i, r := range all {
		results[i] = &result{name: r.name}
	}
	for round := range rounds {
		for i := range all {
			select {
			case <-stop:
				return nil
			default:
			}
			at := (i + round) % len(all)
			values, err := measure(all[at])
			if err != nil {
				return fmt.Errorf("%s: %w", all[at].name, err)
			}
			results[at].rounds = append(results[at].rounds, values)
		}
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, rounds)
	}
	printTable(os.Stdout, results)
	return nil
}
