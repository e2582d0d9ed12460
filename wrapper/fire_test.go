package wrapper_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mcp-valet/wrapper"
)

var (
	fireRuns = flag.Int("fire", 200, "how many schedules TestSoakUnderFire runs; a short run has 40 at most")
	fireSeed = flag.Int("fire.seed", -1, "the one schedule that TestSoakUnderFire runs")
)

// TestSoakUnderFire has launchers of one account work through schedules of faults: of issuer, keychain, network, agents,
// servers, clients and people, with all that is between them as it is shipped. The laws are in fire_laws_test.go; what is
// out of reach here, for want of real processes, is a machine's own clock that jumps, and a kill in the middle of a write.
func TestSoakUnderFire(t *testing.T) {
	const lanes = 4
	runs := *fireRuns
	if testing.Short() {
		runs = min(runs, 40)
	}
	if !wrapper.LocksAreTurns() {
		t.Skip("a session's locks are mutexes: time would stand still while one is waited for")
	}
	defer wrapper.AtItsPace()()
	began, sum := time.Now(), &tally{}
	t.Run("schedules", func(t *testing.T) {
		for lane := range lanes {
			t.Run(fmt.Sprint("lane ", lane), func(t *testing.T) {
				t.Parallel()
				for seed := lane; seed < max(runs, *fireSeed+1); seed += lanes {
					if *fireSeed < 0 || seed == *fireSeed {
						t.Run(fmt.Sprint(seed), func(t *testing.T) { burn(t, seed, sum) })
					}
				}
			})
		}
	})
	t.Logf("%d schedules in %v", sum.of("schedules"), time.Since(began).Round(time.Second))
	for _, name := range slices.Sorted(maps.Keys(sum.counts)) {
		t.Logf("%9d %s", sum.of(name), name)
	}
}

// burn runs one schedule.
func burn(t *testing.T, seed int, sum *tally) {
	dir := ramDir(t)
	defer os.RemoveAll(dir) // else thousands wait for the test's end
	synctest.Test(t, func(t *testing.T) {
		f := newFire(t, newPlan(seed), dir, sum)
		defer f.told()
		f.run()
	})
	sum.add("schedules")
}

// ramDir is a folder where a file is safe on the disk at once, if the machine has such a place.
func ramDir(t *testing.T) string {
	if dir, err := os.MkdirTemp("/dev/shm", "mcp-valet-fire-"); err == nil {
		return dir
	}
	return t.TempDir()
}

// TestFireReplays holds that a seed is all there is to a schedule's faults.
func TestFireReplays(t *testing.T) {
	kinds := map[string]bool{}
	for seed := range 500 {
		p, again := newPlan(seed), newPlan(seed)
		if !reflect.DeepEqual(p, again) || fmt.Sprint(p) != fmt.Sprint(again) {
			t.Fatalf("schedule %d is another one each time", seed)
		}
		if a, b := p.dice("server", 1, 2), again.dice("server", 1, 2); a.Uint64() != b.Uint64() {
			t.Fatalf("schedule %d has other dice each time", seed)
		}
		for _, w := range slices.Concat(p.issuer, p.keychain) {
			kinds[w.kind] = true
		}
	}
	for _, kind := range slices.Concat(issuerFaults, keychainFaults) {
		if !kinds[kind] {
			t.Errorf("no schedule has the fault %q", kind)
		}
	}
}

// tally counts what was really met with, over all schedules. It is safe for concurrent use.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
}

func (y *tally) add(what ...string) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.counts == nil {
		y.counts = map[string]int{}
	}
	y.counts[strings.Join(what, ": ")]++
}

func (y *tally) of(what string) int {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.counts[what]
}
