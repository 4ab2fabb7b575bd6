-- wrk: posts the lines of the file args[1] to the path of the URL, again and again; further args are headers, "name: value".
local requests, count, next_request = {}, 0, 0

function init(args)
  local headers = { ["Content-Type"] = "application/json" }
  for i = 2, #args do
    local name, value = args[i]:match("^([^:]+): (.*)$")
    headers[name] = value
  end
  for line in io.lines(args[1]) do
    count = count + 1
    requests[count] = wrk.format("POST", nil, headers, line)
  end
end

function request()
  next_request = next_request % count + 1
  return requests[next_request]
end
