//go:build linux

package e2e

import (
	"bufio"
	"io"
	"strings"
	"testing"
)

// BenchmarkGateStart is a start of the launcher at the gate, from its exec to its answer to tools/list: signed out, with a
// sealed store, and 500 tools known from an earlier run.
func BenchmarkGateStart(b *testing.B) {
	p := panva(b, "AT_TTL=5")
	v := lastWeek(b, p, "-without-token=end", "-legacy", "-tools=496")
	v.use(b, claudeDesktop)
	weekend(p)
	v.start(b, claudeDesktop).begin() // the first one finds out that the refresh token is dead
	for b.Loop() {
		b.StopTimer()
		cmd := v.command("run", "sdk")
		in, err := cmd.StdinPipe()
		if err != nil {
			b.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		io.WriteString(in, `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"b","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}
`)
		lines := bufio.NewReader(out)
		lines.ReadString('\n')
		list, err := lines.ReadString('\n')
		b.StopTimer()
		if strings.Count(list, `"inputSchema"`) != 500 {
			b.Fatalf("tools/list is answered with %.200s (%v)", list, err)
		}
		in.Close()
		cmd.Wait()
		b.StartTimer()
	}
}
