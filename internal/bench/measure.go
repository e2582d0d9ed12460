//go:build linux

package main

import (
	"slices"
	"time"
)

// figure is one column of the table.
type figure struct {
	name   string
	unit   string
	rate   bool // more is better, and what is compared is time
	digits int
}

// figures are the columns, in the order that measure gives them.
var figures = []figure{
	{name: "start", unit: "ms", digits: 1},
	{name: "round trip", unit: "µs", digits: 1},
	{name: "64 KiB", unit: "MiB/s", rate: true},
	{name: "1 MiB", unit: "MiB/s", rate: true},
	{name: "10 MiB", unit: "MiB/s", rate: true},
	{name: "1 MiB of rows", unit: "MiB/s", rate: true},
	{name: "1,000 in flight", unit: "µs each", digits: 1},
	{name: "idle", unit: "MiB", digits: 1},
	{name: "peak", unit: "MiB", digits: 1},
}

// effort is how often things are done in one round.
type effort struct{ starts, trips, bursts, large int }

var (
	usual  = effort{starts: 10, trips: 10000, bursts: 10, large: 100}
	slower = effort{starts: 2, trips: 500, bursts: 1, large: 10} // for rows that would take all day
)

// measure measures one row once: a value for each of figures, 0 for what the program does not do.
func measure(r *row) ([]float64, error) {
	e := r.effort
	var starts []time.Duration
	for range e.starts {
		began := time.Now()
		c, err := start(r)
		starts = append(starts, time.Since(began))
		if err != nil {
			return nil, err
		}
		c.stop()
	}
	c, err := start(r)
	if err != nil {
		return nil, err
	}
	defer c.stop()
	time.Sleep(200 * time.Millisecond) // what a start leaves to do in the background
	idle := c.memory("VmRSS")
	trip, err := c.median(e.trips, text(200))
	if err != nil {
		return nil, err
	}
	inFlight, err := c.flight(e.bursts)
	if err != nil {
		return nil, err
	}
	values := []float64{milliseconds(median(starts)), microseconds(trip)}
	for _, m := range []struct {
		size      int
		arguments string
	}{{64 << 10, text(64 << 10)}, {1 << 20, text(1 << 20)}, {10 << 20, text(10 << 20)}, {1 << 20, rows(1 << 20)}} {
		if m.size > r.most {
			values = append(values, 0)
			continue
		}
		took, err := c.median(max(3, min(5*e.large, e.large<<20/m.size)), m.arguments)
		if err != nil {
			return nil, err
		}
		values = append(values, float64(m.size)/(1<<20)/took.Seconds())
	}
	return append(values, inFlight, idle, c.memory("VmHWM")), nil
}

// median is the median time of n calls, after some that are not counted.
func (c *client) median(n int, arguments string) (time.Duration, error) {
	var all []time.Duration
	for i := range n + n/10 + 1 {
		took, err := c.call(arguments)
		if err != nil {
			return 0, err
		}
		if i > n/10 {
			all = append(all, took)
		}
	}
	return median(all), nil
}

// flight is the median time per call, in µs, of bursts of 1,000 calls.
func (c *client) flight(n int) (float64, error) {
	var all []time.Duration
	for range n {
		took, err := c.burst(1000, text(200))
		if err != nil {
			return 0, err
		}
		all = append(all, took/1000)
	}
	return microseconds(median(all)), nil
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
