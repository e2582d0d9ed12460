// Package soak holds the fault harness over real processes: launchers, agents and servers of mcp-valet under a schedule of
// faults that a seed decides, and what must hold after each of them.
package soak
