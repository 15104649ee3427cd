end

local answer, bad = try(main)
if bad then return { 'WAFER-KEY', bad } end
return answer
