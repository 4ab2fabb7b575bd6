-- wrk: posts the lines of the file args[1] to the path of the URL, again and again.
-- What of a line comes before its last tab are headers of its own, with a tab between them; one that is called GET is the
-- path of a request without a body.
local requests, count, next_request = {}, 0, 0

function init(args)
  for line in io.lines(args[1]) do
    local method, path, headers = "POST", nil, { ["Content-Type"] = "application/json" }
    for name, value in line:gmatch("([^\t:]+): ([^\t]*)\t") do
      if name == "GET" then
        method, path = name, value
      else
        headers[name] = value
      end
    end
    count = count + 1
    requests[count] = wrk.format(method, path, headers, line:match("[^\t]*$"))
  end
end

function request()
  next_request = next_request % count + 1
  return requests[next_request]
end
