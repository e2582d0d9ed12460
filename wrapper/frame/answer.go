package frame

import (
	"strconv"
	"unicode/utf8"
)

// AppendError appends one JSON-RPC error response, newline included, to dst. An id that is zero, or that no
// JSON-RPC peer could have sent, becomes null; message is any text, escaped so that no reader of lines can split it.
func AppendError(dst []byte, id ID, code int, message string) []byte {
	dst = append(dst, `{"jsonrpc":"2.0","id":`...)
	dst = appendID(dst, id)
	dst = append(dst, `,"error":{"code":`...)
	dst = strconv.AppendInt(dst, int64(code), 10)
	dst = append(dst, `,"message":"`...)
	dst = appendText(dst, message)
	return append(dst, "\"}}\n"...)
}

func appendID(dst []byte, id ID) []byte {
	if id.kind != numberID && id.kind != stringID {
		return append(dst, "null"...)
	}
	start := len(dst)
	dst = id.appendRaw(dst)
	if !utf8.Valid(dst[start:]) {
		return append(dst[:start], "null"...)
	}
	return dst
}

// appendText appends s as the inside of a JSON string.
func appendText(dst []byte, s string) []byte {
	for _, r := range s { // a byte that is not UTF-8 comes as U+FFFD
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\t':
			dst = append(dst, `\t`...)
		case r < 0x20 || r == 0x7f || r == '\u0085' || r == '\u2028' || r == '\u2029':
			dst = appendEscape(dst, r)
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}

func appendEscape(dst []byte, r rune) []byte {
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}
