package main

import (
	"fmt"
	"strings"
)

// text is arguments for a call: one string, so that the message has about size bytes. It is plain, as base64 is.
func text(size int) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	room := max(size-len(request(0, `{"text":""}`)), 0)
	return `{"text":"` + strings.Repeat(alphabet, room/len(alphabet)+1)[:room] + `"}`
}

// rows is arguments for a call: many small objects, about size bytes in all.
func rows(size int) string {
	var s strings.Builder
	for i := 0; s.Len() < size; i++ {
		if i > 0 {
			s.WriteByte(',')
		}
		fmt.Fprintf(&s, `{"id":%d,"name":"user %d","ok":%t,"score":%d.5,"tags":["a","b"]}`, i, i, i%2 == 0, i)
	}
	return `{"rows":[` + s.String() + `]}`
}
