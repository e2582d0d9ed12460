package audit

import "strconv"

// The request's form: opentelemetry-proto, logs/v1/logs.proto, in the JSON mapping that the OTLP specification describes:
// 64-bit numbers are strings, enumerations numbers.

const (
	severityInfo  = `"severityNumber":9,"severityText":"INFO"`
	severityWarn  = `"severityNumber":13,"severityText":"WARN"`
	severityError = `"severityNumber":17,"severityText":"ERROR"`
)

func appendRequest(b []byte, version string, batch []*Entry) []byte {
	b = append(b, `{"resourceLogs":[{"resource":{"attributes":[`...)
	b = appendAttribute(b, true, "service.name", "mcp-valet")
	b = appendAttribute(b, false, "service.version", version)
	b = append(b, `]},"scopeLogs":[{"scope":{"name":"mcp-valet/audit","version":`...)
	b = appendString(b, version, maxText)
	b = append(b, `},"logRecords":[`...)
	for i, e := range batch {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendLogRecord(b, e)
	}
	return append(b, `]}]}]}`...)
}

func appendLogRecord(b []byte, e *Entry) []byte {
	b = append(b, `{"timeUnixNano":"`...)
	b = strconv.AppendInt(b, e.Time.UnixNano(), 10)
	b = append(b, `","observedTimeUnixNano":"`...)
	b = strconv.AppendInt(b, e.Time.UnixNano(), 10)
	b = append(b, `",`...)
	b = append(b, severity(e)...)
	b = append(b, `,"eventName":`...)
	b = appendString(b, "mcp_valet."+e.Event, maxText)
	b = append(b, `,"body":{"stringValue":`...)
	b = appendString(b, bodyOf(e), maxDetail)
	b = append(b, `},"attributes":[`...)
	b = appendNumber(b, true, "mcp_valet.seq", int64(e.Seq))
	for _, a := range []struct{ key, value string }{
		{"mcp_valet.prev", e.Prev}, {"mcp_valet.hash", e.Hash},
		{"mcp_valet.server", e.Server}, {"mcp_valet.account", e.Account},
		{"user.id", e.Subject}, {"mcp_valet.tenant", e.Tenant},
		{"mcp_valet.method", e.Method}, {"mcp_valet.tool", e.Tool},
		{"mcp_valet.verdict", e.Verdict}, {"mcp_valet.rule", e.Rule}, {"mcp_valet.outcome", e.Outcome},
		{"mcp_valet.arguments", string(e.Arguments)}, {"mcp_valet.detail", e.Detail},
		{"mcp_valet.log", e.Log}, {"mcp_valet.head.hash", e.AtHash}, {"mcp_valet.head.signature", e.Sig},
		{"mcp_valet.torn_hash", e.TornHash},
	} {
		if a.value != "" {
			b = appendAttribute(b, false, a.key, a.value)
		}
	}
	for _, a := range []struct {
		key   string
		value int64
	}{
		{"mcp_valet.duration_us", e.Duration.Microseconds()}, {"mcp_valet.size_in", int64(e.SizeIn)}, {"mcp_valet.size_out", int64(e.SizeOut)},
		{"mcp_valet.clock_back_us", e.Back.Microseconds()}, {"mcp_valet.missed", int64(e.Missed)}, {"mcp_valet.torn", int64(e.Torn)},
		{"mcp_valet.through", int64(e.Through)}, {"mcp_valet.head.seq", int64(e.At)},
	} {
		if a.value != 0 {
			b = appendNumber(b, false, a.key, a.value)
		}
	}
	if len(e.Roles) > 0 {
		b = append(b, `,{"key":"user.roles","value":{"arrayValue":{"values":[`...)
		for i, role := range e.Roles[:min(len(e.Roles), maxRoles)] {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, `{"stringValue":`...)
			b = append(appendString(b, role, maxText), '}')
		}
		b = append(b, `]}}}`...)
	}
	return append(b, `]}`...)
}

func severity(e *Entry) string {
	switch {
	case e.Event == EventGap || e.Event == EventCrash:
		return severityError
	case e.Verdict == "deny" || e.Back > 0:
		return severityWarn
	}
	return severityInfo
}

// bodyOf is a record in a few words, for whoever looks at a list of them.
func bodyOf(e *Entry) string {
	s := e.Event
	for _, word := range []string{e.Server, e.Method, e.Tool, e.Verdict, e.Outcome} {
		if word != "" {
			s += " " + word
		}
	}
	return s
}

func appendAttribute(b []byte, first bool, key, value string) []byte {
	b = appendKey(b, first, key)
	b = append(b, `{"stringValue":`...)
	return append(appendString(b, value, maxShape), "}}"...)
}

func appendNumber(b []byte, first bool, key string, value int64) []byte {
	b = appendKey(b, first, key)
	b = append(b, `{"intValue":"`...)
	b = strconv.AppendInt(b, value, 10)
	return append(b, `"}}`...)
}

func appendKey(b []byte, first bool, key string) []byte {
	if !first {
		b = append(b, ',')
	}
	b = append(b, `{"key":"`...)
	b = append(b, key...)
	return append(b, `","value":`...)
}
