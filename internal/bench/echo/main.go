// Command echo is the server of the benchmarks: a stdio MCP server that answers at once. It finds what it needs by
// searching for bytes, so that what is measured is whoever stands before it. A tools/call is answered with its arguments.
package main

import (
	"bufio"
	"bytes"
	"os"
)

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	defer out.Flush()
	var long []byte
	for {
		line, err := in.ReadSlice('\n')
		if err == bufio.ErrBufferFull {
			long = append(long, line...)
			continue
		}
		if len(long) > 0 {
			long = append(long, line...)
			line = long
		}
		answer(out, line)
		long = long[:0]
		if in.Buffered() == 0 {
			out.Flush()
		}
		if err != nil {
			return
		}
	}
}

// answer answers one request; requests have their members in the order that the benchmark writes them in.
func answer(out *bufio.Writer, line []byte) {
	id, rest := member(line, `"id":`, ',')
	if id == nil {
		return
	}
	method, _ := member(rest, `"method":`, ',')
	out.WriteString(`{"jsonrpc":"2.0","id":`)
	out.Write(id)
	switch string(method) {
	case `"initialize"`:
		out.WriteString(`,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"echo","version":"1"}}}`)
	case `"tools/call"`:
		out.WriteString(`,"result":{"content":[],"structuredContent":`)
		if at := bytes.Index(line, []byte(`"arguments":`)); at >= 0 {
			out.Write(bytes.TrimSuffix(line[at+len(`"arguments":`):], []byte("}}\n")))
		} else {
			out.WriteString("{}")
		}
		out.WriteString("}}")
	default:
		out.WriteString(`,"error":{"code":-32601,"message":"unknown method"}}`)
	}
	out.WriteByte('\n')
}

// member returns the value behind a key of the first 256 bytes, up to end, and what comes after it.
func member(line []byte, key string, end byte) (value, rest []byte) {
	head := line[:min(len(line), 256)]
	from := bytes.Index(head, []byte(key))
	if from < 0 {
		return nil, line
	}
	from += len(key)
	to := bytes.IndexByte(head[from:], end)
	if to < 0 {
		return nil, line
	}
	return head[from : from+to], line[from+to:]
}
