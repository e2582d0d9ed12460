package frame_test

import "strings"

// What the texts below are refused for; see noJSON and repeated too.
const (
	noUTF8        = "message is not valid UTF-8"
	noControl     = "message has a raw control character in a string"
	noEscape      = "message has an invalid escape in a string"
	noNumber      = "message has an invalid number"
	noLiteral     = "message has an invalid literal"
	noMark        = "message begins with a byte order mark"
	noRest        = "line ends inside a message"
	noEnd         = "last line has no newline"
	noSecond      = "line has something after the message"
	noDepth       = "message is nested too deeply"
	noBatch       = "batches are not supported"
	noReturn      = "message has a carriage return inside"
	loneKey       = "message has a key with a lone surrogate"
	caseTwin      = "message has a member that differs from a known one only in case"
	unknownMember = "message has an unknown member"
)

// goodJSON are texts that RFC 8259 takes and nobody may refuse.
var goodJSON = []struct{ name, text string }{
	// Structures.
	{"empty array", `[]`}, {"empty object", `{}`}, {"blanks in an empty array", "[ \t ]"}, {"blanks in an empty object", "{\t }"},
	{"array of one", `[0]`}, {"array of kinds", `[null,true,false,0,"",[],{}]`}, {"array of arrays", `[[[]],[[],[]]]`},
	{"object of one", `{"a":0}`}, {"object of kinds", `{"a":null,"b":true,"c":false,"d":0,"e":"","f":[],"g":{}}`}, {"object of objects", `{"a":{"b":{"c":{}}}}`},
	{"array of objects", `[{"a":1},{"a":1},{}]`}, {"object of arrays", `{"a":[[1],[2]],"b":[{"c":[]}]}`}, {"nesting of 100", strings.Repeat("[", 100) + strings.Repeat("]", 100)},
	{"mixed nesting of 100", strings.Repeat(`[{"a":`, 50) + "1" + strings.Repeat("}]", 50)}, {"1,000 elements", "[" + strings.Repeat("1,", 999) + "1]"},
	{"500 members", objectOf(numbered(500)...)},

	// White space.
	{"blanks everywhere", ` [ 1 , { "a" : 2 , "b" : [ ] } , 3 ] `}, {"tabs everywhere", "\t[\t1\t,\t{\t\"a\"\t:\t2\t}\t]\t"}, {"blanks around a string", "  \"a\"\t"}, {"blanks around a number", " 1 "},
	{"many blanks", strings.Repeat(" ", 100) + "1" + strings.Repeat("\t", 100)},

	// Literals.
	{"true", `true`}, {"false", `false`}, {"null", `null`}, {"literals in a row", `[true,false,null,null,false,true]`},

	// Numbers.
	{"zero", `0`}, {"one digit", `7`}, {"many digits", `1234567890`}, {"negative", `-1`}, {"negative zero", `-0`}, {"negative zero with fraction", `-0.0`},
	{"fraction", `0.5`}, {"fraction of zeros", `1.000`}, {"zero with exponent", `0e1`}, {"zero with exponent and sign", `0E+1`}, {"exponent", `1e2`}, {"capital exponent", `1E2`},
	{"exponent with plus", `1e+2`}, {"exponent with minus", `1e-2`}, {"fraction and exponent", `-1.5E-3`}, {"exponent with zeros", `1e007`}, {"eight digits", `12345678`}, {"nine digits", `123456789`},
	{"twenty digits of fraction", `0.12345678901234567890`}, {"number ended by a blank", `[1 ,2 ]`},

	// Strings.
	{"empty string", `""`}, {"one character", `"a"`}, {"blank", `" "`}, {"seven characters", `"1234567"`}, {"eight characters", `"12345678"`}, {"thirty-three characters", `"123456789012345678901234567890123"`},
	{"1,000 characters", `"` + strings.Repeat("x", 1000) + `"`}, {"structure in a string", `"[{,:}]"`}, {"number in a string", `"1e5"`}, {"slash", `"/"`}, {"comment in a string", `"/* */ // #"`},
	{"DEL", "\"\x7f\""}, {"next line character", "\"\u0085\""}, {"line separator", "\"\u2028\""}, {"paragraph separator", "\"\u2029\""}, {"no-break space", "\"\u00a0\""},
	{"mark inside a string", "\"\ufeff\""}, {"noncharacter", "\"\uffff\""}, {"noncharacter beyond", "\"\U0010ffff\""}, {"private use", "\"\ue000\""}, {"combining mark", "\"e\u0301\""},
	{"two bytes", `"é"`}, {"three bytes", `"€"`}, {"four bytes", `"😀"`}, {"first of two bytes", "\"\u0080\""}, {"last of two bytes", "\"\u07ff\""}, {"first of three bytes", "\"\u0800\""},
	{"before the surrogates", "\"\ud7ff\""}, {"first of four bytes", "\"\U00010000\""}, {"many scripts", `"naïve булка 天地 ✓ 👩‍👩‍👧"`},

	// Escapes.
	{"short escapes", `"\"\\\/\b\f\n\r\t"`}, {"escaped letter", `"\u0061"`}, {"capital digits", `"\u00E9"`}, {"mixed digits", `"\uAbCd"`}, {"escaped NUL", `"\u0000"`}, {"escaped control", `"\u001f"`},
	{"escaped quote", `"\u0022"`}, {"escaped backslash", `"\u005c"`}, {"pair", `"\ud83d\ude00"`}, {"first pair", `"\uD800\uDC00"`}, {"last pair", `"\udbff\udfff"`}, {"escaped noncharacter", `"\uffff"`},
	{"escaped backslash and u", `"\\u0061"`}, {"backslashes", `"\\\\\\"`}, {"quote at the end", `"a\""`}, {"escape behind text", `"some text of more than a word\n"`}, {"escape in every place", `"\na\nab\nabc\n"`},

	// Keys.
	{"empty key", `{"":0}`}, {"blank key", `{" ":0}`}, {"key with escapes", `{"\n\u0061\"":0}`}, {"escaped NUL in a key", `{"a\u0000b":0}`}, {"key beyond ASCII", `{"ключ":0}`}, {"key with a pair", `{"\ud83d\ude00":0}`},
	{"long key", `{"` + strings.Repeat("k", 500) + `":0}`}, {"keys that begin alike", `{"a":0,"aa":0,"aaa":0}`}, {"keys with structure", `{"{":0,"}":0,":":0,",":0}`}, {"keys like numbers", `{"0":0,"00":0,"-1":0}`},
}

// badJSON are texts that RFC 8259 refuses, and so does the reader of either side: with the code of a parse error, and
// for this reason when the text is the value of the last member.
var badJSON = []struct{ name, text, why string }{
	// Structures.
	{"nothing", ``, noJSON}, {"blank", ` `, noJSON}, {"array not closed", `[`, noJSON}, {"array with a value not closed", `[1`, noJSON}, {"object not closed", `{`, noRest}, {"object with a member not closed", `{"a":1`, noRest},
	{"array closed twice", `[]]`, noJSON}, {"object closed twice", `{}}`, noSecond}, {"only an end of an array", `]`, noJSON}, {"only an end of an object", `}`, noJSON},
	{"array closed by a brace", `[1}`, noJSON}, {"object closed by a bracket", `{"a":1]`, noJSON}, {"inner array not closed", `[[]`, noJSON}, {"inner object not closed", `[{]`, noJSON}, {"array in a key's place", `{[]:1}`, noJSON},
	{"comma only", `,`, noJSON}, {"colon only", `:`, noJSON}, {"array of a comma", `[,]`, noJSON}, {"comma before", `[,1]`, noJSON}, {"comma at the end", `[1,]`, noJSON}, {"two commas", `[1,,2]`, noJSON}, {"no comma", `[1 2]`, noJSON},
	{"no comma between strings", `["a""b"]`, noJSON}, {"no comma between arrays", `[[][]]`, noJSON}, {"colon in an array", `["a":1]`, noJSON}, {"semicolon", `[1;2]`, noJSON},
	{"object of a comma", `{,}`, noJSON}, {"comma before a member", `{,"a":1}`, noJSON}, {"comma behind a member", `{"a":1,}`, noJSON}, {"two commas between members", `{"a":1,,"b":2}`, noJSON}, {"no comma between members", `{"a":1 "b":2}`, noJSON},
	{"key only", `{"a"}`, noJSON}, {"key and comma", `{"a",1}`, noJSON}, {"no value", `{"a":}`, noJSON}, {"no value but a comma", `{"a":,"b":1}`, noJSON}, {"two colons", `{"a"::1}`, noJSON}, {"equals sign", `{"a"=1}`, noJSON}, {"value only", `{1}`, noJSON},
	{"no key", `{:1}`, noJSON}, {"two values", `{"a":1 2}`, noJSON}, {"key without quotes", `{a:1}`, noJSON}, {"key in single quotes", `{'a':1}`, noJSON}, {"number as a key", `{1:1}`, noJSON}, {"null as a key", `{null:1}`, noJSON},
	{"brackets as white space", `[[]]]`, noJSON}, {"parentheses", `(1)`, noJSON}, {"spread", `[...[]]`, noLiteral}, {"elision", `[,,]`, noJSON},

	// Things before and behind.
	{"two values in a row", `1 2`, noJSON}, {"string behind a number", `1"a"`, noJSON}, {"number behind an object", `{}1`, noJSON}, {"letter behind an array", `[]x`, noJSON}, {"comment", `/**/1`, noJSON}, {"comment behind", `1/**/`, noJSON},
	{"line comment", `1//`, noJSON}, {"hash comment", `#`, noJSON}, {"guard against scripts", `)]}'`, noJSON}, {"call", `f(1)`, noLiteral}, {"assignment", `a=1`, noLiteral},

	// White space that JSON does not know.
	{"form feed", "[\f1]", noJSON}, {"vertical tab", "[\v1]", noJSON}, {"no-break space", "[\u00a01]", noJSON}, {"next line", "[\u00851]", noJSON}, {"line separator", "[\u20281]", noJSON}, {"wide space", "[\u30001]", noJSON},
	{"zero width space", "[\u200b1]", noJSON}, {"word joiner", "[\u20601]", noJSON}, {"mark inside", "[\ufeff1]", noJSON}, {"NUL", "[\x001]", noJSON}, {"escape of white space", `[\t1]`, noJSON}, {"control character", "[\x1f1]", noJSON},
	{"DEL", "[\x7f1]", noJSON}, {"file separator", "[1\x1c]", noJSON},

	// Literals.
	{"half of true", `tru`, noLiteral}, {"half of false", `fals`, noLiteral}, {"half of null", `nul`, noLiteral}, {"one letter", `n`, noLiteral}, {"letter more", `truee`, noJSON}, {"null twice", `nullnull`, noJSON}, {"capital", `True`, noLiteral},
	{"capitals", `NULL`, noLiteral}, {"capital at the end", `falsE`, noLiteral}, {"None", `None`, noLiteral}, {"undefined", `undefined`, noLiteral}, {"NaN", `NaN`, noLiteral}, {"Infinity", `Infinity`, noLiteral}, {"digit behind", `true1`, noJSON},
	{"blank inside", `tr ue`, noLiteral}, {"string behind a literal", `true"a"`, noJSON}, {"escaped letter", `\u0074rue`, noJSON},

	// Numbers.
	{"minus only", `-`, noNumber}, {"minus and blank", `- 1`, noNumber}, {"two minuses", `--1`, noNumber}, {"plus", `+1`, noLiteral}, {"plus minus", `+-1`, noLiteral}, {"minus Infinity", `-Infinity`, noNumber}, {"minus NaN", `-NaN`, noNumber},
	{"leading zero", `01`, noNumber}, {"two zeros", `00`, noNumber}, {"leading zero behind minus", `-01`, noNumber}, {"leading zero of a fraction", `00.5`, noNumber}, {"no digit before the point", `.5`, noLiteral}, {"minus and point", `-.5`, noNumber},
	{"no digit behind the point", `1.`, noNumber}, {"exponent behind the point", `1.e1`, noNumber}, {"two points", `1.2.3`, noNumber}, {"comma for a point", `[1,5.]`, noNumber}, {"exponent without digits", `1e`, noNumber}, {"capital exponent without digits", `1E`, noNumber},
	{"exponent of a plus", `1e+`, noNumber}, {"exponent of a minus", `1e-`, noNumber}, {"exponent of two signs", `1e+-1`, noNumber}, {"two exponents", `1e1e1`, noNumber}, {"exponent with a point", `1e1.5`, noNumber}, {"zero exponent without digits", `0e`, noNumber},
	{"hexadecimal", `0x1f`, noNumber}, {"octal", `0o17`, noNumber}, {"binary", `0b1`, noNumber}, {"underscore", `1_000`, noNumber}, {"letter behind", `1a`, noNumber}, {"unit behind", `1px`, noNumber}, {"minus inside", `1-2`, noNumber}, {"plus inside", `1+2`, noNumber},
	{"big integer of JavaScript", `1n`, noNumber}, {"float of C", `1.0f`, noNumber}, {"fullwidth digit", `１`, noJSON}, {"Arabic digit", `٣`, noJSON}, {"minus sign of typography", `−1`, noJSON}, {"fraction sign", `½`, noJSON}, {"Infinity sign", `∞`, noJSON},

	// Strings.
	{"quote only", `"`, noRest}, {"not closed", `"a`, noRest}, {"not closed behind an escape", `"a\"`, noRest}, {"not opened", `a"`, noLiteral}, {"single quotes", `'a'`, noJSON}, {"backquotes", "`a`", noJSON}, {"typographic quotes", `“a”`, noJSON},
	{"three quotes", `"""`, noJSON}, {"joined strings", `"a"+"b"`, noJSON}, {"escape outside", `\"a\"`, noJSON}, {"prefix of Python", `b"a"`, noLiteral}, {"tab", "\"\t\"", noControl}, {"NUL inside", "\"\x00\"", noControl}, {"control inside", "\"\x1f\"", noControl},
	{"backspace", "\"\b\"", noControl}, {"escape character", "\"\x1b[0m\"", noControl}, {"tab in a key", "{\"\t\":1}", noControl}, {"tab in a long string", "\"a text of more than three words, then a\ttab\"", noControl}, {"control at every end", "\"1234567\x01\"", noControl},

	// Escapes.
	{"unknown escape", `"\a"`, noEscape}, {"escaped digit", `"\0"`, noEscape}, {"hexadecimal escape", `"\x41"`, noEscape}, {"escaped single quote", `"\'"`, noEscape}, {"escaped blank", `"\ "`, noEscape}, {"capital escape", `"\N"`, noEscape},
	{"capital U", `"\U0001F600"`, noEscape}, {"braces of JavaScript", `"\u{61}"`, noEscape}, {"no digits", `"\u"`, noEscape}, {"one digit of four", `"\u1"`, noEscape}, {"three digits of four", `"\u123"`, noEscape}, {"no hexadecimal digit", `"\u123g"`, noEscape},
	{"sign among the digits", `"\u+123"`, noEscape}, {"blank among the digits", `"\u 123"`, noEscape}, {"half of a pair", `"\ud83d\u"`, noEscape}, {"escape beyond ASCII", `"\é"`, noEscape}, {"escaped control", "\"\\\x01\"", noEscape}, {"bad escape in a key", `{"\a":1}`, noEscape},
	{"bad escape far behind", `"a text of more than three words, and then \q"`, noEscape},
}

// ourChoice are texts about which RFC 8259 leaves a choice, or the transport takes it away. client and server are what
// they are refused for from each side; "" passes.
var ourChoice = []struct{ name, text, client, server, why string }{
	// Numbers: section 6 lets a parser limit range and precision.
	{"too large for a float", `1e400`, "", "", "nothing is judged by it, and the bytes are passed on as they are"},
	{"too large and negative", `-1e400`, "", "", "as above"},
	{"too small for a float", `1e-400`, "", "", "as above"},
	{"exponent of 20 digits", `1e99999999999999999999`, "", "", "as above"},
	{"integer of 100 digits", strings.Repeat("9", 100), "", "", "as above; of ids, the range is limited"},
	{"fraction of 1,000 digits", `0.` + strings.Repeat("3", 1000), "", "", "as above"},
	{"integer beyond 2^53", `9007199254740993`, "", "", "as above"},

	// Lone surrogates: section 8.2 calls what happens unpredictable.
	{"high surrogate", `"\ud800"`, "", "", "parsers differ about what it is, but nothing is judged by it"},
	{"low surrogate", `"\udfff"`, "", "", "as above"},
	{"high surrogate before text", `"\uD834x"`, "", "", "as above"},
	{"two high surrogates", `"\ud800\ud800"`, "", "", "as above"},
	{"the wrong way round", `"\udc00\ud800"`, "", "", "as above"},
	{"before another escape", `"\ud800\n"`, "", "", "as above"},
	{"before a pair", `"\ud800\ud83d\ude00"`, "", "", "as above"},
	{"high surrogate in a key", `{"\ud800":1}`, loneKey, "", "it may be the same as another key to one parser and not to the next"},
	{"low surrogate in a key", `{"a\udc00b":1}`, loneKey, "", "as above"},

	// UTF-8: section 8.1 asks for it, and many parsers replace what is none.
	{"continuation alone", "\"\x80\"", noUTF8, "", "a client's must mean the same to all; of a server's, its client makes what it does without us"},
	{"start alone", "\"\xc3\"", noUTF8, "", "as above"},
	{"two bytes of three", "\"\xe2\x82\"", noUTF8, "", "as above"},
	{"three bytes of four", "\"\xf0\x9f\x98\"", noUTF8, "", "as above"},
	{"one continuation too many", "\"\xc3\xa9\xa9\"", noUTF8, "", "as above"},
	{"overlong slash", "\"\xc0\xaf\"", noUTF8, "", "as above"},
	{"overlong NUL", "\"\xc0\x80\"", noUTF8, "", "as above"},
	{"overlong quote", "\"\xc0\xa2\"", noUTF8, "", "as above"},
	{"overlong in three bytes", "\"\xe0\x9f\xbf\"", noUTF8, "", "as above"},
	{"overlong in four bytes", "\"\xf0\x8f\xbf\xbf\"", noUTF8, "", "as above"},
	{"surrogate in UTF-8", "\"\xed\xa0\x80\"", noUTF8, "", "as above"},
	{"pair in UTF-8", "\"\xed\xa0\xbd\xed\xb8\x80\"", noUTF8, "", "as above"},
	{"beyond Unicode", "\"\xf4\x90\x80\x80\"", noUTF8, "", "as above"},
	{"five bytes", "\"\xf8\x88\x80\x80\x80\"", noUTF8, "", "as above"},
	{"FF", "\"\xff\"", noUTF8, "", "as above"},
	{"FE", "\"\xfe\"", noUTF8, "", "as above"},
	{"Latin 1", "\"caf\xe9 au lait, and text behind\"", noUTF8, "", "as above"},
	{"bad UTF-8 in a key", "{\"\xff\":1}", noUTF8, "", "as above"},
	{"bad UTF-8 outside strings", "[\xff]", noJSON, noJSON, "it is no JSON to anyone"},

	// Keys: section 4 says that they should be unique.
	{"key twice", `{"a":1,"a":2}`, repeated, "", "parsers take the first, the last, or both"},
	{"key twice with one value", `{"a":1,"a":1}`, repeated, "", "as above"},
	{"key twice, once escaped", `{"a":1,"\u0061":2}`, repeated, "", "as above"},
	{"empty key twice", `{"":1,"":2}`, repeated, "", "as above"},
	{"keys that differ in case", `{"a":1,"A":2}`, "", "", "arguments are the server's own; where we judge, it is refused"},
	{"keys that differ in their form", `{"é":1,"e\u0301":2}`, "", "", "no parser makes one of them"},
	{"key __proto__", `{"__proto__":{"a":1}}`, "", "", "refused only where we judge"},

	// Nesting: section 9 lets a parser limit it.
	{"nesting of 500", strings.Repeat("[", 500) + strings.Repeat("]", 500), "", "", "what every parser takes"},
	{"nesting of 512", strings.Repeat("[", 512) + strings.Repeat("]", 512), noDepth, "", "limits of parsers begin at about 1,000, and of stacks"},
	{"objects nested 512 deep", strings.Repeat(`{"a":`, 512) + "1" + strings.Repeat("}", 512), noDepth, "", "as above"},
	{"nesting of 9,000", strings.Repeat("[", 9000) + strings.Repeat("]", 9000), noDepth, "", "a client that reads it without us is to read it through us"},
	{"nesting of 10,001", strings.Repeat("[", 10001) + strings.Repeat("]", 10001), noDepth, noDepth, "the limit of encoding/json"},

	// The transport: a message is a line.
	{"newline as white space", "[1,\n2]", noRest, noRest, "the line is over"},
	{"newline in a string", "\"a\nb\"", noRest, noRest, "as above"},
	{"carriage return as white space", "[1,\r2]", noReturn, "", "the end of a line to many readers of lines"},
	{"both as white space", "[1,\r\n2]", noReturn, noRest, "as above"},
	{"carriage return in a string", "\"a\rb\"", noControl, noControl, "no JSON to anyone"},
}

// wholeLines are lines, with what is refused of the first message in them.
var wholeLines = []struct{ name, text, client, server string }{
	{"byte order mark", "\ufeff" + withID("7"), noMark, noMark},
	{"half a byte order mark", "\xef\xbb" + withID("7"), noJSON, noJSON},
	{"two byte order marks", "\ufeff\ufeff" + withID("7"), noMark, noMark},
	{"UTF-16, low byte first", "{\x00\"\x00a\x00\"\x00:\x001\x00}\x00\n", noJSON, noJSON},
	{"UTF-16, high byte first", "\x00{\x00\"\x00a\x00\"\x00:\x001\x00}\x00\n", noJSON, noJSON},
	{"UTF-16 with its mark", "\xff\xfe{\x00}\x00\n", noJSON, noJSON},
	{"UTF-32", "{\x00\x00\x00}\x00\x00\x00\n", noJSON, noJSON},
	{"UTF-7", "+AHs-\n", noJSON, noJSON},
	{"gzip", "\x1f\x8b\x08\x00\n", noJSON, noJSON},
	{"no newline", bare, noEnd, noEnd},
	{"two messages", bare + withID("8"), noSecond, noSecond},
	{"message and comma", bare + ",\n", noSecond, noSecond},
	{"message and brace", bare + "}\n", noSecond, noSecond},
	{"message and NUL", bare + "\x00\n", noSecond, noSecond},
	{"message and no-break space", bare + "\u00a0\n", noSecond, noSecond},
	{"message and comment", bare + "//\n", noSecond, noSecond},
	{"comma before", "," + withID("8"), noJSON, noJSON},
	{"record separator before", "\x1e" + withID("8"), noJSON, noJSON},
	{"length before", "57:" + withID("8"), noSecond, noSecond},
	{"header before", "Content-Length: 57\r\n", noJSON, noJSON},
	{"event before", "data: " + withID("8"), noJSON, noJSON},
	{"blanks around", " \t" + bare + "\t \r\n", "", ""},
	{"key in capitals", `{"jsonrpc":"2.0","id":7,"METHOD":"x"}` + "\n", caseTwin, ""},
	{"key with the Kelvin sign", `{"jsonrpc":"2.0","method":"x","` + "\u212a" + `":1}` + "\n", unknownMember, ""},
}
