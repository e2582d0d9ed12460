package frame

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// idKind tells ids apart that JSON-RPC tells apart: 7 is not "7".
type idKind uint8

const (
	noID idKind = iota
	numberID
	stringID
	nullID
	otherID // no JSON-RPC id at all: never carried anywhere
)

const (
	// maxIDText limits a string id from a client, in decoded bytes.
	maxIDText = 1024
	// maxIDRaw is the longest way to write such an id: six bytes (\u0061) for each, and the quotes. It also
	// limits how much of a dropped line is kept while an id may still end.
	maxIDRaw = 6*maxIDText + 2
	// maxSafe is JavaScript's Number.MAX_SAFE_INTEGER; above it parsers disagree about which number an id is.
	maxSafe = 1<<53 - 1
)

// ID is the id of a request or response. It is a value: it outlives the message it came in.
type ID struct {
	kind  idKind
	n     uint8
	short [46]byte // the id as sent where it fits, as a number or UUID does: no allocation for each message
	long  string   // otherwise
}

// newID returns the id written as raw. kind must be what raw is.
func newID(kind idKind, raw []byte) ID {
	id := ID{kind: kind}
	if len(raw) <= len(id.short) {
		id.n = uint8(copy(id.short[:], raw))
		return id
	}
	id.long = string(raw)
	return id
}

// IsZero reports whether there is no id.
func (id ID) IsZero() bool { return id.kind == noID }

// Raw returns a copy of the id as sent, quotes and escapes included; nil for the zero ID.
func (id ID) Raw() []byte {
	if id.kind == noID || id.kind == otherID {
		return nil
	}
	return id.appendRaw(nil)
}

func (id *ID) appendRaw(dst []byte) []byte {
	if id.long != "" {
		return append(dst, id.long...)
	}
	return append(dst, id.short[:id.n]...)
}

// Key returns the id's decoded value behind a letter for its type: 7, 7.0 and 7e0 have one key, "7" has another,
// and so have "a" and "\u0061" one. The zero ID's key is "".
func (id ID) Key() string {
	var room [64]byte
	if id.kind == numberID && id.isPlain() {
		return string(id.appendRaw(append(room[:0], 'n'))) // what the rest would give, as nearly all are
	}
	raw := id.appendRaw(room[:0])
	switch id.kind {
	case numberID:
		return string(parseDecimal(raw).appendKey(make([]byte, 0, 24)))
	case stringID:
		text, lone := unquote(make([]byte, 0, 64), raw[1:len(raw)-1])
		if lone || !utf8.Valid(text) {
			return "r" + string(raw) // only from a server; no decoded form is common to all parsers
		}
		return "s" + string(text)
	case nullID:
		return "null"
	}
	return ""
}

// check returns why a client may not use this id, or zero.
func (id *ID) check() refusal {
	var room [64]byte
	switch id.kind {
	case numberID:
		if id.isPlain() {
			return 0
		}
		if _, ok := parseDecimal(id.appendRaw(room[:0])).safe(); !ok {
			return badID
		}
	case stringID:
		raw := id.appendRaw(room[:0])
		if bytes.IndexByte(raw, '\\') < 0 {
			if len(raw)-2 > maxIDText {
				return longID
			}
			return 0
		}
		text, lone := unquote(nil, raw[1:len(raw)-1])
		if lone {
			return badIDText
		}
		if len(text) > maxIDText {
			return longID
		}
	default:
		return badID
	}
	return 0
}

// isPlain reports whether the id is a number of digits alone and surely below 2^53, as nearly all are.
func (id *ID) isPlain() bool {
	for _, c := range id.short[:id.n] {
		if !isDigit(c) {
			return false
		}
	}
	return 0 < id.n && id.n <= 15
}

// decimal is a JSON number in canonical form: ±0.digits × 10^point, without zeros at either end of digits.
type decimal struct {
	negative bool
	digits   []byte
	point    int
}

// parseDecimal reads a number of JSON grammar. It may write into raw.
func parseDecimal(raw []byte) decimal {
	var d decimal
	if raw[0] == '-' {
		d.negative, raw = true, raw[1:]
	}
	mantissa, exponent := raw, 0
	if i := bytes.IndexAny(raw, "eE"); i >= 0 {
		mantissa, exponent = raw[:i], parseExponent(raw[i+1:])
	}
	d.point = len(mantissa)
	d.digits = mantissa
	if i := bytes.IndexByte(mantissa, '.'); i >= 0 {
		d.point = i
		d.digits = append(mantissa[:i], mantissa[i+1:]...)
	}
	whole := len(d.digits)
	d.digits = bytes.TrimLeft(d.digits, "0")
	d.point += exponent - (whole - len(d.digits))
	d.digits = bytes.TrimRight(d.digits, "0")
	if len(d.digits) == 0 {
		return decimal{} // -0 and 0e9 are 0
	}
	return d
}

// parseExponent reads an exponent, saturated far beyond any id that is passed or compared by value.
func parseExponent(raw []byte) int {
	const most = 1 << 30
	n, err := strconv.Atoi(string(raw))
	if err != nil && raw[0] == '-' {
		return -most
	}
	if err != nil {
		return most
	}
	return max(-most, min(n, most))
}

// safe returns the number where it is an integer that every parser reads alike.
func (d decimal) safe() (int64, bool) {
	if len(d.digits) > d.point || d.point > 16 {
		return 0, false
	}
	n := int64(0)
	for i := range d.point {
		n *= 10
		if i < len(d.digits) {
			n += int64(d.digits[i] - '0')
		}
	}
	if n > maxSafe {
		return 0, false
	}
	if d.negative {
		n = -n
	}
	return n, true
}

// appendKey appends a text that is the same for all ways to write the number.
func (d decimal) appendKey(dst []byte) []byte {
	dst = append(dst, 'n')
	if n, ok := d.safe(); ok {
		return strconv.AppendInt(dst, n, 10)
	}
	if d.negative {
		dst = append(dst, '-')
	}
	dst = append(dst, d.digits...)
	dst = append(dst, 'e')
	return strconv.AppendInt(dst, int64(d.point-len(d.digits)), 10)
}
