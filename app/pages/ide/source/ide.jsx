// GraphiQL on this service: who asks is chosen beside the tabs, and examples are a choice away.
import { createRoot } from "react-dom/client";
import { useState, useMemo, useEffect, useRef } from "react";
import { GraphiQL } from "graphiql";
import { useEditorContext } from "@graphiql/react";
import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { setNonce } from "get-nonce";
import "graphiql/style.css";
import "./ide.css";

const { examples, nonce, viewers } = JSON.parse(document.getElementById("config").textContent);
// What a dialog adds to the styles of the page while it is open.
setNonce(nonce);

const url = location.origin + location.pathname;
const chosenAtFirst = new URLSearchParams(location.hash.slice(1)).get("example");

function Choices({ viewer, setViewer }) {
  const { queryEditor, variableEditor } = useEditorContext({ nonNull: true });
  const shown = useRef(false);

  function show(name) {
    const example = examples.find((each) => each.name === name);
    if (!example || !queryEditor || !variableEditor) return;
    queryEditor.setValue(example.query);
    variableEditor.setValue(example.variables ? JSON.stringify(example.variables, null, 2) : "");
    if (viewers.some((each) => each.name === example.viewer)) setViewer(example.viewer);
  }

  useEffect(() => {
    if (shown.current || !queryEditor || !variableEditor) return;
    shown.current = true;
    if (chosenAtFirst) show(chosenAtFirst);
  });

  return (
    <div className="choices">
      <label>
        Example
        <select value="" onChange={(event) => show(event.target.value)}>
          <option value="" disabled>choose</option>
          {examples.map(({ name, title }) => <option key={name} value={name}>{title}</option>)}
        </select>
      </label>
      {viewers.length > 0 && (
        <label>
          Ask as
          <select value={viewer} onChange={(event) => setViewer(event.target.value)}>
            <option value="">the headers below</option>
            {viewers.map(({ name, title }) => <option key={name} value={name}>{title}</option>)}
          </select>
        </label>
      )}
      <a href="/docs">Docs</a>
    </div>
  );
}

function Explorer() {
  const [viewer, setViewer] = useState(viewers[0]?.name ?? "");
  const fetcher = useMemo(() => {
    const headers = viewers.find((each) => each.name === viewer)?.headers ?? {};
    return createGraphiQLFetcher({
      url,
      headers,
      subscriptionUrl: url.replace(/^http/, "ws"),
      wsConnectionParams: headers,
    });
  }, [viewer]);
  return (
    <GraphiQL fetcher={fetcher} defaultQuery={examples[0].query} inputValueDeprecation schemaDescription>
      <GraphiQL.Logo>
        <Choices viewer={viewer} setViewer={setViewer} />
      </GraphiQL.Logo>
    </GraphiQL>
  );
}

createRoot(document.getElementById("graphiql")).render(<Explorer />);
