package frame_test

import "strings"

// nastyArguments are values in which parsers were seen to differ, or may, and which pass all the same: what they are
// must then be the same to all.
var nastyArguments = []string{
	// Numbers.
	`[0,-0,-0.0,0e9,-0E-9]`, `[1e400,-1e400,1e-400,-1e-400]`, `[1E+2,1e+02,1e-0,100e-2]`, `[9007199254740991,9007199254740992,9007199254740993,-9007199254740993]`,
	`[9223372036854775807,9223372036854775808,18446744073709551615,18446744073709551616]`, `123456789012345678901234567890`,
	`[0.1,0.10000000000000001,0.30000000000000004,4.9e-324,2.2250738585072011e-308,1.7976931348623157e308,1.7976931348623159e308]`,
	strings.Repeat("9", 309), "-" + strings.Repeat("7", 4300), strings.Repeat("7", 4301), "0." + strings.Repeat("0", 400) + "1e401", `1e0000000000000000000001`,

	// Strings.
	`"\ud800"`, `"\udc00\ud800"`, `"\ud800\ud800\udc00\udc00"`, `"\uD83D\uDE00\ud83d\ude00"`, `"\ud83dx\ude00"`, `"\\ud800"`, `"\u0000"`, `"a\u0000b"`,
	"\"\u007f\u0080\u0085\u00a0\u00ad\u200b\u2028\u2029\ufeff\ufffd\ufffe\uffff\U0001f600\U0010ffff\"", `"\u2028\ufeff\uffff"`, "\"\ufeff\"",
	`"\"\\\/\b\f\n\r\t"`, `"\u0022\u005c\u002F"`, `"é"`, `"e\u0301"`, `"\u00e9"`, `"</script><!--"`, `"{\"method\":\"x\"}"`, "\"\u2028{\u2028\"", "\"\u0085[]\u0085\"",

	// Keys.
	`{"1":"a","0":"b","01":"c","-1":"d","1.0":"e","4294967295":"f","4294967294":"g"," ":"h","":"i"}`, `{"__proto__":{"name":"x"},"constructor":1,"prototype":2}`,
	`{"toString":1,"hasOwnProperty":2,"valueOf":3,"length":4,"toJSON":5,"then":6}`, `{"__class__":1,"__dict__":2,"self":3}`,
	`{"a\u0000":1,"a":2,"\u0000a":3}`, `{"a":1,"A":2,"ſ":3,"s":4,"S":5,"K":6,"k":7,"K":8}`, `{"é":1,"e\u0301":2,"É":3}`, `{"\ud83d\ude00":1,"😁":2,"\u005c\u0022":3}`,
	`{"method":"y","id":9,"params":{"name":"z"},"jsonrpc":"1.0"}`, `{"` + strings.Repeat("k", 5000) + `":1,"` + strings.Repeat("k", 4999) + `l":2}`,
	"{\"\ufeff\":1,\"\u2028\":2,\"\u0085\":3}", `{"$ref":"#","@type":"x","$type":"System.Object"}`,

	// Structure and white space.
	"[ ]", "{ }", "[[],{},[[]],[{}],{\"a\":[]}]", "\t[\t1\t,\t2\t]\t", "[true,false,null]", strings.Repeat("[", 510) + strings.Repeat("]", 510),
	strings.Repeat("[", 509) + "1" + strings.Repeat("]", 509), strings.Repeat(`{"a":`, 509) + "1" + strings.Repeat("}", 509), "[" + strings.Repeat("0,", 3000) + "0]",
}

// nasty returns calls with these arguments, and messages whose header is unusual and passes.
func nasty() []string {
	var all []string
	for _, value := range nastyArguments {
		all = append(all, envelope(`"id":7,"method":"tools/call","params":{"name":"danger","arguments":`+value+`}`))
	}
	return append(all,
		`{"params":{"arguments":{"name":"a"},"name":"b"},"method":"tools/call","id":"\u0000","jsonrpc":"2.0"}`+"\n",
		" \t"+`{ "\u006asonrpc" : "\u0032.0" ,`+"\t"+`"m\u0065thod" : "tools\/call" , "i\u0064" : "\ud83d\ude00" , "p\u0061rams" : { "n\u0061me" : "\u20ac" } } `+"\r\n",
		envelope(`"id":"7","method":"toString","params":{"constructor":{"name":"x"},"toString":"y"}`),
		envelope(`"id":-9007199254740991,"method":"resources/read","params":{"uri":"\u0066ile:\/\/\/a%00?#é"}`),
		envelope(`"id":9007199254740.991e3,"method":"x","params":{}`), envelope(`"id":0.00007e5,"method":"x"`), envelope(`"id":-0.0,"method":"x"`),
		envelope(`"id":"","method":" ","params":{"":""}`), envelope("\"id\":\"\u2028\",\"method\":\"\ufeff\",\"params\":{\"\ufeff\":1,\"\u0085\":2}"),
		envelope(`"method":"notifications/x","params":{"name":[],"uri":{},"arguments":null,"task":false,"ref":0}`),
		envelope(`"id":7,"method":"prompts/get","params":{"name":"","arguments":{"name":"\ud800"}}`),
		envelope(`"id":7,"method":"completion/complete","params":{"name":"\ud800","uri":"\u0000","ref":{"type":"ref/prompt","name":"p"}}`),
		envelope(`"id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","_meta":{"a":{"_meta":{"protocolVersion":"x"}}}}`),
		envelope(`"id":0,"method":"initialize","params":{"protocolVersion":"","_meta":{"`+metaPrefix+`protocolVersion":""}}`),
		envelope(`"id":0,"method":"initialize","params":{"protocolVersion":5,"_meta":[]}`),
		envelope(`"id":0,"method":"x","params":{"_meta":{"`+metaPrefix+`protocolVersion":"2026-07-28","progressToken":"\ud800"}}`),
		envelope(`"id":1,"result":{"method":"tools/call","params":{"name":"x"}}`), envelope(`"error":{"id":1,"method":"x"},"id":null`),
	)
}

// nastyPieces are put into lines at random.
var nastyPieces = []string{
	"", "", " ", "\t", "\r", ",", ":", "{", "}", "[", "]", `"`, `\`, "/", "0", "-", ".", "e", "E+1", "1", "null", "true", "{}", "[]", `""`,
	"\x00", "\x0b", "\x1f", "\x7f", "\u0085", "\u00a0", "\u2028", "\u2029", "\ufeff", "\ufffd", "\U0001f600", "\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
	`\u0000`, `\ud800`, `\udc00`, `\u0061`, `\u2028`, `\/`, `\n`, `"a":1,`, `,"a":1`, `"name":"safe",`, `,"Name":"safe"`, `"method":"x",`, `,"id":8`, `"__proto__":{},`,
	`"1":2,`, `,"constructor":0`, `"_meta":{},`, `,"uri":"u"`, `"arguments":[],`, `"` + "\u2028", "\u2028\"",
}
