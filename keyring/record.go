package keyring

import (
	"fmt"
	"strconv"
	"strings"
)

// What a keychain item holds is one header line and then, for a small record,
// the record itself:
//
//	mcp-valet/1 inline\n<record>
//	mcp-valet/1 sealed <generation> <age identity>\n
//
// A sealed text (the file of a larger record, and every file of the file
// store) starts with a header that binds it to its key:
//
//	mcp-valet/1 record <key>\n<record>
const (
	formatName    = "mcp-valet/"
	formatVersion = 1
)

// maxItem is the most that goes into one keychain item, header included.
// Windows takes 2560 bytes. On macOS go-keyring allows 4096 bytes for a command
// line with the value in base64, the service name and the key, and leaks a
// process when they are more, so more is never tried.
const maxItem = 2400

// An item is the decoded content of a keychain item.
type item struct {
	gen      uint64 // of the sealed file; 0: the record is inline
	inline   Secret
	identity Secret // opens the sealed file
}

func (it item) encode() Secret {
	if it.gen == 0 {
		return NewSecret(header("inline") + it.inline.Reveal())
	}
	return NewSecret(header("sealed", strconv.FormatUint(it.gen, 10), it.identity.Reveal()))
}

// fitsInline reports whether a record needs no sealed file.
func fitsInline(v Secret) bool { return len(header("inline"))+v.size() <= maxItem }

func parseItem(s Secret) (item, error) {
	words, rest, err := parseHeader(s.Reveal())
	if err != nil {
		return item{}, err
	}
	switch {
	case len(words) == 1 && words[0] == "inline":
		return item{inline: NewSecret(rest)}, nil
	case len(words) == 3 && words[0] == "sealed" && rest == "":
		gen, err := parseGeneration(words[1])
		if err != nil {
			return item{}, fail(ErrCorrupt, err)
		}
		return item{gen: gen, identity: NewSecret(words[2])}, nil
	}
	return item{}, fail(ErrCorrupt, fmt.Errorf("unknown form of keychain item"))
}

// parseGeneration takes a generation only as encode and generationName write
// it: decimal, without leading zeros, not 0.
func parseGeneration(s string) (uint64, error) {
	gen, err := strconv.ParseUint(s, 10, 64)
	if err != nil || gen == 0 || strconv.FormatUint(gen, 10) != s {
		return 0, fmt.Errorf("malformed generation number")
	}
	return gen, nil
}

func header(words ...string) string {
	return formatName + strconv.Itoa(formatVersion) + " " + strings.Join(words, " ") + "\n"
}

// parseHeader splits the header line into words. Whatever follows a version
// that we do not know is not looked at.
func parseHeader(s string) (words []string, rest string, err error) {
	s, ok := strings.CutPrefix(s, formatName)
	if !ok {
		return nil, "", fail(ErrCorrupt, fmt.Errorf("does not start with %q", formatName))
	}
	digits := 0
	for digits < len(s) && '0' <= s[digits] && s[digits] <= '9' {
		digits++
	}
	version := s[:digits]
	if version == "" || version[0] == '0' {
		return nil, "", fail(ErrCorrupt, fmt.Errorf("malformed format version"))
	}
	if version != strconv.Itoa(formatVersion) {
		return nil, "", fail(ErrTooNew, fmt.Errorf("format version %.10s, this program knows %d", version, formatVersion))
	}
	line, rest, ok := strings.Cut(s[digits:], "\n")
	if !ok || !strings.HasPrefix(line, " ") {
		return nil, "", fail(ErrCorrupt, fmt.Errorf("header is cut short"))
	}
	return strings.Split(line[1:], " "), rest, nil
}
