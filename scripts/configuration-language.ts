// What docs/configuration.md says of the language itself: the part that no table holds. Its examples are read by
// test/unit/config-doc.test.ts.

export const LANGUAGE = `# Configuration

<!-- Made from the option table by \`npm run docs\`: change shared/config/options*.ts or scripts/configuration-*.ts. -->

One language configures both sides: the sidecar, which hands mail over, and the stack, which keeps and delivers it. It
is Momentum's: configurations of its XFER pages are read as they are. A file may be read by both sides; each takes what
is its own, and says what has no effect there.

\`npx delay-xfer check FILE…\` reads files and tells every fault in them at once, and what would delay or lose mail.
\`npx delay-xfer eval FILE DOMAIN [OPTION]\` tells what holds for a domain, and which line says so. That is the
installed package; in a clone of the repository write \`npm run -s delay-xfer -- check FILE…\`.

## The language

\`\`\`
# A comment to the end of its line; /* another one */ ends where it says.
Delayed_Reroute_Domain = "xfer.test"        # name = value
Domain xfer.test {                          # Kind name { … }
  Delivery_Method = "delay_xfer"
  Routes = ( "xfer://10.10.10.10?port=8080", "xfer://10.10.10.11?port=8080" )
  Max_Retries = none  HTTP_URI = '/delay_message'
}
\`\`\`

A comment may stand wherever white space may; within a bare word only \`#\` begins one. Line ends mean nothing, so that statements may share a line. Names of options and stanzas are read in any letter case. A
value stands in double quotes (\`\\"\` and \`\\\\\` are escapes, any other backslash stays, so that regular expressions read
well), in single quotes (nothing is an escape), or bare, if it has no white space and none of \`{ } ( ) = , " ' # ;\`. A
list stands in parentheses, with or without commas; where a list is wanted, one value is a list of one. Files are UTF-8, and 1 MiB long
at most.

\`include "FILE"\` reads another file there, also within a stanza; \`include "FOLDER"\` reads its files that end in
\`.conf\`, in the order of their names. A relative path begins where the file is that names it. \`readonly_include\` is the
same. A stanza may be opened again, also in another file; later statements win, and a value that was another one before
is warned of.

Every fault is told with its file, line and column, the line itself, and what to write instead:

\`\`\`
main.conf:3:3: unknown option "Rutes"; did you mean Routes?
      Rutes = ( "xfer://10.10.10.10?port=8080" )
      ^^^^^
\`\`\`

A program that finds a fault does not start, and one that runs keeps the configuration that it has. Passwords are
starred wherever a line is shown.

## Stanzas

| Stanza | Stands in | What it holds for |
| --- | --- | --- |
| \`Domain example.com { … }\` | the top, a Binding, a Binding_Group | Recipients in this domain, in A- or U-labels, in any letter case. |
| \`Domain "/[.]example[.]com$/" { … }\` | the same | Recipients in domains that the regular expression fits (JavaScript's, in any letter case). Without \`^\` and \`$\` it fits parts of a name. |
| \`Binding a { … }\` | the top, a Binding_Group | Mail that leaves by this binding; all mail does by \`default\`. The sidecar has no bindings. |
| \`Binding_Group g { … }\` | the top | The bindings that stand in it. A binding has one group at most. |
| \`Host mx.example.com { … }\`, \`Host "/…/" { … }\` | the top, a Binding, a Binding_Group | One mail host, by the name that MX or \`Routes\` give it. |
| \`ESMTP_Listener { … }\`, \`LMTP_Listener { … }\`, \`HTTP_Listener { … }\` | the top | What takes mail. |
| \`Listen "127.0.0.1:2525" { … }\` | a listener | One address; \`":2525"\` is every address of the loopback interface, or of the machine once \`Relay_Hosts\` or users guard it. |
| \`Scriptlet "scriptlet" { Script name { source = "…" } }\` | the top | Momentum's modules. \`msys.xfer.client\` and \`msys.xfer.server\` are what this program is. |

## Which value counts

The nearest scope that says anything:

1. a Domain in the Binding,
2. a Domain in the Binding_Group,
3. the Binding,
4. the Binding_Group,
5. a Domain,
6. the top of a file,
7. the default.

Among Domains of one place the exact name comes first, then regular expressions in the order of the files; each option
is looked for by itself, so that a Domain that says nothing of an option hides no other. For a listener: its Listen, the
listener, the top.

Limits of a \`Host\` are a chain of their own (a Host in the Binding, in the Binding_Group, at the top): they hold beside
those of the domain, and do not replace them.

\`\`\`
Message_Expiration = 432000
Domain gmail.com { Max_Outbound_Connections = 20  TLS = "required" }
Domain "/(^|[.])example[.](com|net)$/" { Routes = ( "smtp://relay.internal?port=587&pref=10" ) }
Binding default { EHLO_Hostname = "out.example.com"  Domain gmail.com { Max_Outbound_Connections = 5 } }
\`\`\`
`;
