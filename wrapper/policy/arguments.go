package policy

import (
	"errors"
	"strconv"
	"strings"

	"github.com/cedar-policy/cedar-go"
)

// The errors of arguments that a condition cannot be asked about. None of them holds a value.
var (
	errTwin   = errors.New("two of the arguments' keys are the same, or one differs by case alone from a name that a condition reads")
	errNumber = errors.New("a number among the arguments is too large or too fine to be compared")
	errNull   = errors.New("a list among the arguments has null in it")
	errLarge  = errors.New("the arguments that conditions read have too many parts")
	errObject = errors.New("the arguments are not an object that every program reads alike")
)

const maxParts = 20_000 // values that are built of one call's arguments

// builder turns arguments into Cedar's values, as far as conditions read them.
type builder struct {
	*scanner
	asked []*condition
	parts int
}

// buildArguments makes the record of those arguments that the asked conditions read. No arguments are an empty record.
func buildArguments(arguments []byte, asked []*condition) (cedar.Record, error) {
	if len(arguments) == 0 || string(arguments) == "null" {
		return cedar.NewRecord(nil), nil
	}
	s, err := newScanner(arguments)
	if err != nil {
		return cedar.Record{}, errObject
	}
	b := &builder{scanner: s, asked: asked}
	r, err := b.record(true)
	if err == nil {
		err = b.end()
	}
	if errors.Is(err, errJSON) {
		err = errObject
	}
	return r, err
}

// reads tells whether a condition reads a name of the arguments.
func (b *builder) reads(name string) bool {
	for _, c := range b.asked {
		if c.reads.everything || c.reads.arguments[name] {
			return true
		}
	}
	return false
}

// twin tells whether a key differs by case alone from a name that a condition reads.
func (b *builder) twin(key string) bool {
	for _, c := range b.asked {
		for _, name := range c.reads.sorted {
			if name != key && strings.EqualFold(name, key) && !c.reads.names[key] {
				return true
			}
		}
	}
	return false
}

func (b *builder) record(top bool) (cedar.Record, error) {
	m := cedar.RecordMap{}
	seen := map[string]bool{}
	err := b.object(func(key string) error {
		if seen[key] || b.twin(key) {
			return errTwin
		}
		if b.parts++; b.parts > maxParts {
			return errLarge
		}
		seen[key] = true
		if top && !b.reads(key) {
			return b.skip()
		}
		v, err := b.value()
		if err == nil && v != nil {
			m[cedar.String(key)] = v
		}
		return err
	})
	return cedar.NewRecord(m), err
}

// value reads one value; null is nil.
func (b *builder) value() (cedar.Value, error) {
	if b.parts++; b.parts > maxParts {
		return nil, errLarge
	}
	switch b.peek() {
	case '{':
		return b.record(false)
	case '[':
		return b.set()
	case '"':
		t, err := b.text()
		return cedar.String(t), err
	case 't':
		return cedar.True, b.word("true")
	case 'f':
		return cedar.False, b.word("false")
	case 'n':
		return nil, b.word("null")
	}
	literal, err := b.number()
	if err != nil {
		return nil, err
	}
	return number(literal)
}

func (b *builder) set() (cedar.Value, error) {
	var all []cedar.Value
	err := b.array(func() error {
		v, err := b.value()
		if err == nil && v == nil {
			err = errNull
		}
		all = append(all, v)
		return err
	})
	if err != nil {
		return nil, err
	}
	return cedar.NewSet(all...), nil
}

// number gives a JSON number its exact value: Long where it is whole, decimal with up to four decimals.
func number(literal string) (cedar.Value, error) {
	if i, err := strconv.ParseInt(literal, 10, 64); err == nil {
		return cedar.Long(i), nil
	}
	mantissa, power, _ := strings.Cut(strings.ToLower(literal), "e")
	sign := ""
	if rest, negative := strings.CutPrefix(mantissa, "-"); negative {
		sign, mantissa = "-", rest
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	if digits == "" {
		return cedar.Long(0), nil
	}
	exponent := 0
	if power != "" {
		var err error
		if exponent, err = strconv.Atoi(power); err != nil || exponent > 1<<20 || exponent < -1<<20 {
			return nil, errNumber
		}
	}
	exponent -= len(fraction)
	short := strings.TrimRight(digits, "0")
	exponent += len(digits) - len(short)
	if exponent > 18 || exponent < -4 || len(short) > 19 {
		return nil, errNumber
	}
	if exponent >= 0 {
		short += strings.Repeat("0", exponent)
	}
	i, err := strconv.ParseInt(sign+short, 10, 64)
	switch {
	case err != nil:
		return nil, errNumber
	case exponent >= 0:
		return cedar.Long(i), nil
	}
	d, err := cedar.NewDecimal(i, exponent)
	if err != nil {
		return nil, errNumber
	}
	return d, nil
}
