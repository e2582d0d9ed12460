package policy

import (
	"time"

	"github.com/cedar-policy/cedar-go"
)

// fields are the attributes of the context that a condition reads.
type fields uint32

const (
	fieldArguments fields = 1 << iota
	fieldTime
	fieldOwner
	fieldTenant
	fieldSubject
	fieldAccount
	fieldKind
	fieldServer
	fieldMethod
	fieldName
	fieldReadOnly
	fieldDestructive
	fieldIdempotent
	fieldOpenWorld

	// onlyInCalls is what is not known when a list is shown.
	onlyInCalls = fieldArguments | fieldTime | fieldOwner
)

var fieldNames = map[string]fields{
	"arguments": fieldArguments, "time": fieldTime, "owner": fieldOwner, "tenant": fieldTenant, "subject": fieldSubject,
	"account": fieldAccount, "kind": fieldKind, "server": fieldServer, "method": fieldMethod, "name": fieldName,
	"readOnly": fieldReadOnly, "destructive": fieldDestructive, "idempotent": fieldIdempotent, "openWorld": fieldOpenWorld,
}

var timeNames = map[string]bool{"hour": true, "minute": true, "weekday": true, "epoch": true}

// buildContext makes the record of what the asked conditions read.
func buildContext(u *User, a *Action, asked []*condition) (cedar.Record, error) {
	var need fields
	for _, c := range asked {
		need |= c.reads.fields
	}
	if need == 0 {
		return cedar.Record{}, nil
	}
	m := cedar.RecordMap{}
	text := func(f fields, name cedar.String, s string) {
		if need&f != 0 && s != "" {
			m[name] = cedar.String(s)
		}
	}
	text(fieldTenant, "tenant", u.Tenant)
	text(fieldSubject, "subject", u.Subject)
	text(fieldAccount, "account", u.Account)
	text(fieldKind, "kind", u.Kind)
	text(fieldOwner, "owner", a.Owner)
	text(fieldServer, "server", a.Server)
	text(fieldMethod, "method", a.Method)
	text(fieldName, "name", a.Name)
	hint := func(f fields, name cedar.String, given *bool, assumed bool) {
		if given != nil {
			assumed = *given
		}
		if need&f != 0 {
			m[name] = cedar.Boolean(assumed)
		}
	}
	hint(fieldReadOnly, "readOnly", a.ReadOnly, false)
	hint(fieldDestructive, "destructive", a.Destructive, true)
	hint(fieldIdempotent, "idempotent", a.Idempotent, false)
	hint(fieldOpenWorld, "openWorld", a.OpenWorld, true)
	if need&fieldTime != 0 && !a.Time.IsZero() {
		m["time"] = timeRecord(a.Time)
	}
	if need&fieldArguments != 0 {
		arguments, err := buildArguments(a.Arguments, asked)
		if err != nil {
			return cedar.Record{}, err
		}
		m["arguments"] = arguments
	}
	return cedar.NewRecord(m), nil
}

func timeRecord(t time.Time) cedar.Record {
	weekday := int64(t.Weekday())
	if t.Weekday() == time.Sunday {
		weekday = 7 // ISO 8601
	}
	return cedar.NewRecord(cedar.RecordMap{
		"hour": cedar.Long(t.Hour()), "minute": cedar.Long(t.Minute()), "weekday": cedar.Long(weekday), "epoch": cedar.Long(t.Unix()),
	})
}
