package frame_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"mcp-valet/wrapper/frame"
)

func ExampleReader() {
	client := strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list"}}
{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"list","Name":"delete"}}
`)
	for r := frame.NewReader(client, frame.ClientToServer, frame.DefaultMax); ; {
		m, err := r.Next()
		var v *frame.Violation
		switch {
		case errors.As(err, &v):
			if v.Kind != frame.Response && v.Kind != frame.Notification {
				os.Stdout.Write(frame.AppendError(nil, v.ID, v.Code, v.Reason))
			}
		case err == io.EOF:
			return
		case err != nil:
			fmt.Println(err)
			return
		default:
			fmt.Println(m.Kind, m.ID.Key(), m.Method, m.Name)
		}
	}
	// Output:
	// request n1 tools/call list
	// {"jsonrpc":"2.0","id":2,"error":{"code":-32602,"message":"params has a key that differs from a known one only in case"}}
}
