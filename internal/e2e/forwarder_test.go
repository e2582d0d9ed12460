package e2e

import (
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// forwarder stands before a provider as the network does: while it is down, every connection is cut at once; while it is
// mute, none gets an answer.
type forwarder struct {
	url        string
	target     atomic.Value // string: host:port
	down, mute atomic.Bool
	end        chan struct{}
}

// startForwarder listens until the test ends.
func startForwarder(t *testing.T) *forwarder {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &forwarder{url: "http://" + listener.Addr().String(), end: make(chan struct{})}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			open.Go(func() { f.carry(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		close(f.end)
		open.Wait()
	})
	return f
}

// to says where the forwarder leads.
func (f *forwarder) to(url string) { f.target.Store(strings.TrimPrefix(url, "http://")) }

func (f *forwarder) carry(client net.Conn) {
	defer client.Close()
	switch {
	case f.down.Load():
		return
	case f.mute.Load():
		<-f.end
		return
	}
	server, err := net.Dial("tcp", f.target.Load().(string))
	if err != nil {
		return
	}
	defer server.Close()
	var up sync.WaitGroup
	up.Go(func() {
		io.Copy(server, client)
		server.Close()
	})
	io.Copy(client, server)
	client.Close()
	up.Wait()
}
