package keyring

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
)

// maxSealed bounds a sealed file: the record, its header, and what age adds
// (a header of some 200 bytes, 16 bytes for each 64 kB).
const maxSealed = maxRecord + 64<<10

// errNotSealed stands for age's own errors, which quote pieces of what they
// could not read.
var errNotSealed = errors.New("not a whole sealed file")

// seal encrypts a record, bound to its key, so that files which were swapped
// do not open as each other.
func seal(to age.Recipient, k Key, v Secret) ([]byte, error) {
	return sealText(to, header("record", string(k))+v.Reveal())
}

func sealText(to age.Recipient, text string) ([]byte, error) {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to)
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(w, text); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// unseal opens what seal made. A text sealed to somebody else is ErrWrongKey.
func unseal(id age.Identity, k Key, sealed []byte) (Secret, error) {
	r, err := age.Decrypt(bytes.NewReader(sealed), id)
	var wrongKey *age.NoIdentityMatchError
	if errors.As(err, &wrongKey) {
		return Secret{}, fail(ErrWrongKey, nil)
	}
	if err != nil {
		return Secret{}, fail(ErrCorrupt, errNotSealed)
	}
	text, err := io.ReadAll(io.LimitReader(r, maxSealed))
	if err != nil {
		return Secret{}, fail(ErrCorrupt, errNotSealed)
	}
	words, record, err := parseHeader(string(text))
	if err != nil {
		return Secret{}, err
	}
	if strings.Join(words, " ") != "record "+string(k) {
		return Secret{}, fail(ErrCorrupt, errors.New("the sealed file belongs to another record"))
	}
	return NewSecret(record), nil
}

func parseIdentity(s Secret) (*age.X25519Identity, error) {
	id, err := age.ParseX25519Identity(s.Reveal())
	if err != nil {
		// Not wrapped: the parser's errors quote pieces of its input.
		return nil, fmt.Errorf("not an age secret key (AGE-SECRET-KEY-1…)")
	}
	return id, nil
}
